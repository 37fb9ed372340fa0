"""The words of the preference page in the languages that templates are shipped in; the reader's browser chooses."""

import re

_NAMES = ("title", "question", "legend", "campaigns", "dunning", "save", "saved")
_WORDS = {
    "en": (
        "Your preferences",
        "What may we send to this address?",
        "By e-mail",
        "Notices and information",
        "Payment reminders by e-mail (without them we send letters)",
        "Save",
        "Your choice is saved.",
    ),
    "de": (
        "Ihre Einstellungen",
        "Was dürfen wir an diese Adresse senden?",
        "Per E-Mail",
        "Hinweise und Informationen",
        "Zahlungserinnerungen per E-Mail (sonst senden wir Briefe)",
        "Speichern",
        "Ihre Auswahl ist gespeichert.",
    ),
    "fr": (
        "Vos préférences",
        "Que pouvons-nous envoyer à cette adresse ?",
        "Par e-mail",
        "Avis et informations",
        "Rappels de paiement par e-mail (à défaut, nous envoyons des lettres)",
        "Enregistrer",
        "Votre choix est enregistré.",
    ),
    "es": (
        "Sus preferencias",
        "¿Qué podemos enviar a esta dirección?",
        "Por correo electrónico",
        "Avisos e información",
        "Recordatorios de pago por correo electrónico (si no, enviamos cartas)",
        "Guardar",
        "Su elección se ha guardado.",
    ),
}
_RANGE = re.compile(r"([a-zA-Z]{2,3})(?:-[\w-]+)?\s*(?:;\s*q=([\d.]+))?")


def words_for(accepted: str, default: str) -> tuple[str, dict[str, str]]:
    """Language and words by an Accept-Language header; else those of `default`, else English."""
    ranges = [_RANGE.match(part.strip()) for part in accepted.split(",")]
    wanted = sorted((one for one in ranges if one), key=lambda one: -_weight(one[2]))
    asked = [one[1].lower() for one in wanted if _weight(one[2]) > 0]
    language = next((name for name in (*asked, default[:2].lower()) if name in _WORDS), "en")
    return language, dict(zip(_NAMES, _WORDS[language], strict=True))


def _weight(text: str | None) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0

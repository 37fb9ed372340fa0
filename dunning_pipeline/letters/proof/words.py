"""Words that filters distrust, and words of advertising that must not stand above a notice (domain §9)."""

import re

# Short lists of what SpamAssassin's and the providers' own guides name; phrases of debt notices are not on it.
_SPAM = {
    "en": "act now|100% free|risk free|winner|congratulations you|click here|urgent!!|cash bonus|guaranteed",
    "de": "jetzt zugreifen|100% gratis|risikofrei|gewonnen|herzlichen glückwunsch|hier klicken|dringend!!|garantiert",
    "fr": "agissez maintenant|100% gratuit|sans risque|vous avez gagné|félicitations|cliquez ici|garanti",
    "es": "actúe ahora|100% gratis|sin riesgo|ha ganado|felicidades|haga clic aquí|garantizado",
}
_PROMOTION = {
    "en": "discount|special offer|sale|promo|coupon|voucher|upgrade today|new products",
    "de": "rabatt|sonderangebot|aktion|gutschein|ausverkauf|jetzt upgraden|neue produkte|newsletter",
    "fr": "remise|offre spéciale|soldes|promo|bon d.achat|nouveaux produits",
    "es": "descuento|oferta especial|rebajas|promo|cupón|nuevos productos",
}


def spam_triggers(subject: str, text: str, language: str) -> list[str]:
    """What a filter would count against the message: phrases, shouting, rows of exclamation marks."""
    found = _found(_SPAM, f"{subject}\n{text}", language)
    letters = [letter for letter in subject if letter.isalpha()]
    if len(letters) > 8 and sum(letter.isupper() for letter in letters) > 0.7 * len(letters):
        found.append("subject in capitals")
    if re.search(r"[!?]{2,}|\${2,}|€{2,}", f"{subject}\n{text}"):
        found.append("row of ! ? $ €")
    return found


def promotion_above(text: str, amount: str, language: str) -> list[str]:
    """Advertising before the amount that is asked for; text and amount as the reader sees them."""
    position = text.find(amount)
    return _found(_PROMOTION, text[: position if position >= 0 else len(text)], language)


def _found(lists: dict[str, str], text: str, language: str) -> list[str]:
    found: list[str] = []
    for key in dict.fromkeys((language[:2], "en")):
        if key in lists:
            found += re.findall(rf"\b(?:{lists[key]})\b", text, re.IGNORECASE)
    return list(dict.fromkeys(word.lower() for word in found))

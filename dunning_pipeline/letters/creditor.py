"""Who is owed: the company of company.yaml, or the legal entity that the invoices name, as words for templates."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from babel import Locale

from dunning_pipeline.letters.formats import choose_locale
from dunning_pipeline.settings.company import BankAccount, Company, PostalAddress


def creditor(company: Company, legal_entity: str | None, locale: str) -> dict[str, Any]:
    """Name, postal address, bank and contact of the creditor.

    A legal entity of company.yaml replaces the company's own name, address and bank; an undeclared one changes nothing,
    because money must go to an account that somebody has declared.
    """
    entity = company.legal_entities.get(legal_entity) if legal_entity else None
    address = entity.address if entity else company.address
    bank = (entity.bank if entity and entity.bank else company.bank) or BankAccount()
    name = entity.name if entity else company.name
    return {
        "name": name,
        "email": (entity.email if entity else None) or company.email_reply_to or company.email_from,
        "phone": company.phone,
        "website": company.website,
        "vat_id": company.vat_id if entity is None else None,
        "registry": company.registry if entity is None else None,
        "logo": company.logo,
        "address": _address(address),
        "postal_line": postal_line(name, address, locale),
        "bank": {
            "holder": bank.holder or name,
            "iban": "".join(bank.iban.split()) if bank.iban else None,
            "bic": bank.bic,
            "bank_name": bank.bank_name,
        },
    }


@lru_cache(maxsize=1024)
def postal_line(name: str, address: PostalAddress, locale: str) -> str:
    """The whole postal address on one line, as every e-mail carries it; the country in the reader's language."""
    country = Locale.parse(locale).territories.get(address.country) or address.country
    if address.country in ("US", "CA", "AU"):
        town = f"{address.city}, {address.state or ''} {address.postal_code}".replace("  ", " ")
    else:
        town = f"{address.postal_code} {address.city}"
    return ", ".join(part for part in (name, address.street, town, country) if part)


def in_language(document: Mapping[str, Any], language: str) -> Mapping[str, Any]:
    """A merge document for a text of `language`: where the reader's own has no template, dates, amounts and the
    sender's country are written as the text is."""
    locale = document.get("locale")
    if locale is None or locale.partition("_")[0] == language.partition("-")[0]:
        return document
    company = document["company"]
    locale = choose_locale(language, document["address"]["country"] or company["address"]["country"])
    line = postal_line(company["name"], PostalAddress(**company["address"]), locale)
    return {**document, "locale": locale, "company": {**company, "postal_line": line}}


def _address(address: PostalAddress) -> dict[str, Any]:
    return {
        "street": address.street,
        "postal_code": address.postal_code,
        "city": address.city,
        "state": address.state,
        "country": address.country,
    }

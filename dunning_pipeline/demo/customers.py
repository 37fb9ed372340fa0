"""Invents the demo's customers: legal entities with an address, people and habits, before a source writes them."""

from dataclasses import dataclass, field
from random import Random

from dunning_pipeline.demo.numbers import filled, vat_number
from dunning_pipeline.demo.vocabulary import GERMANY, LANDS, MAILBOXES, Land, plain

# how a customer pays; the number is its share of a hundred
HABITS = {"prompt": 42, "slow": 29, "chronic": 18, "silent": 11}


@dataclass
class Person:
    given: str
    family: str
    email: str
    phone: str
    phone_local: str  # as the second source writes it
    mobile: str
    mobile_local: str
    role: str = ""
    contact_id: str = ""


@dataclass
class Customer:
    """One legal entity; `habit` is a key of HABITS."""

    number: int
    land: Land
    name: str
    name_elsewhere: str  # the same company as the second source spells it
    street: str
    town: str
    postal_code: str
    vat: str
    domain: str
    phone: str
    phone_local: str
    language: str
    habit: str
    terms_days: int
    is_consumer: bool = False
    people: list[Person] = field(default_factory=list)
    account_id: str = ""
    bill_groups: list[str] = field(default_factory=list)

    @property
    def currency(self) -> str:
        return self.land.currency


def invent_customers(random: Random, count: int, consumers: int = 3) -> list[Customer]:
    """`count` customers in the lands' shares, the last `consumers` of them German private persons."""
    taken: set[str] = set()
    made = []
    for number in range(1, count + 1):
        if number > count - consumers:
            made.append(_consumer(random, number))
        else:
            land = random.choices(LANDS, [land.share for land in LANDS])[0]
            made.append(_company(random, number, land, taken))
    return made


def _company(random: Random, number: int, land: Land, taken: set[str]) -> Customer:
    while True:
        founder, trade = random.choice(land.founders), random.choice(land.trades)
        stem = random.choice(_stems(land)).format(founder=founder, trade=trade, other=random.choice(land.founders))
        if stem not in taken:
            taken.add(stem)
            break
    form = random.choice(land.legal_forms)
    domain = _host(stem)
    town, postal_code = random.choice(land.towns)
    customer = Customer(
        number=number,
        land=land,
        name=f"{stem} {form}",
        name_elsewhere=_elsewhere(random, stem, land.spelled_out[form]),
        street=_street(random, land),
        town=town,
        postal_code=postal_code,
        vat=vat_number(land.country, random),
        domain=domain,
        phone=filled(land.phone[0], number),
        phone_local=filled(land.phone[1], number),
        language=land.language if random.random() > 0.08 else "en",
        habit=random.choices(list(HABITS), list(HABITS.values()))[0],
        terms_days=random.choice((14, 14, 30, 30, 30, 45)),
    )
    _people(random, customer)
    return customer


def _stems(land: Land) -> tuple[str, ...]:
    if land.country in ("FR", "ES"):
        return (
            "{trade} {founder}",
            "{trade} {founder} et Fils" if land.country == "FR" else "{trade} {founder} Hermanos",
        )
    if land.country == "JP":
        return ("{founder} {trade}",)
    return ("{founder} {trade}", "{founder} & {other} {trade}")


def _elsewhere(random: Random, stem: str, form: str) -> str:
    written = plain(stem).replace(" & ", random.choice((" u. ", " + ", " & ")))
    return random.choice(
        (f"{written} {form}", f"{written.upper()} {form.upper()}", f"{stem} {form}", f"{written}, {form}")
    )


def _host(stem: str) -> str:
    words = "".join(c if c.isalnum() else "-" for c in plain(stem).lower().replace("'", ""))
    return "-".join(part for part in words.split("-") if part)[:40] + ".example"


def _street(random: Random, land: Land) -> str:
    street, house = random.choice(land.streets), random.randint(1, 180)
    if land.country == "JP":
        return f"{street}-{house % 20 + 1}"
    return f"{house} {street}" if land.number_first else f"{street} {house}"


def _people(random: Random, customer: Customer) -> None:
    land = customer.land
    for place in range(random.choices((1, 2, 3, 4), (14, 44, 28, 14))[0]):
        given, family = random.choice(land.given), random.choice(land.founders)
        serial = customer.number * 4 + place
        local = f"{plain(given).lower().replace(' ', '')}.{plain(family).lower().replace(chr(39), '')}"
        has_mobile = random.random() < 0.35
        customer.people.append(
            Person(
                given=given,
                family=family,
                email=f"{local}@{customer.domain}",
                phone=filled(land.phone[0], serial) if random.random() < 0.6 else "",
                phone_local=filled(land.phone[1], serial),
                mobile=filled(land.mobile[0], serial) if has_mobile else "",
                mobile_local=filled(land.mobile[1], serial) if has_mobile else "",
            )
        )
    if random.random() < 0.3:  # the accounts department's mailbox stands beside the people
        box = random.choice(MAILBOXES[land.language])
        customer.people[-1].email = f"{box}@{customer.domain}"


def _consumer(random: Random, number: int) -> Customer:
    land = GERMANY
    given, family = random.choice(land.given), random.choice(land.founders)
    town, postal_code = random.choice(land.towns)
    customer = Customer(
        number, land, f"{given} {family}", f"{plain(family)}, {plain(given)}", _street(random, land), town, postal_code,
        "", "post.example", filled(land.mobile[0], number), filled(land.mobile[1], number), "de", "slow", 14, True,
    )  # fmt: skip
    email = f"{plain(given)}.{plain(family)}.{number}@post.example".lower()
    customer.people.append(Person(given, family, email, customer.phone, customer.phone_local, "", ""))
    return customer

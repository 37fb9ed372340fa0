"""Writes the invented customers as the CRM knows them: accounts, contacts, roles, relations, bill groups."""

from datetime import date, timedelta
from random import Random

from dunning_pipeline.demo.book import Book
from dunning_pipeline.demo.customers import Customer, Person


def write_parties(random: Random, book: Book, customers: list[Customer], today: date) -> None:
    """Rows for all customers; sets `account_id`, `contact_id` and `bill_groups` on them."""
    for customer in customers:
        _account(random, book, customer, today)
        _bill_groups(random, book, customer)
        for place, person in enumerate(customer.people):
            _contact(random, book, customer, person, place, today)
        if random.random() < 0.18 and not customer.is_consumer:
            _payment_method(book, customer)
    _oddities(book, customers, today)


def _account(random: Random, book: Book, customer: Customer, today: date) -> None:
    stamp = f"{today - timedelta(days=random.randint(0, 400))}T08:{random.randint(10, 59)}:00.000Z"
    customer.account_id = book.add(
        "Account",
        {
            "Name": customer.name,
            "AccountNumber": f"C-{10000 + customer.number}",
            "Type": "Customer",
            "IsPersonAccount": customer.is_consumer,
            "BillingStreet": customer.street,
            "BillingCity": customer.town,
            "BillingPostalCode": customer.postal_code,
            "BillingCountry": customer.land.country,
            "Phone": customer.phone,
            "Website": "" if customer.is_consumer else f"https://www.{customer.domain}",
            "CurrencyIsoCode": customer.currency,
            "Language__c": customer.language,
            "TimeZone__c": customer.land.time_zone,
            "VatId__c": customer.vat,
            "PreventDunning__c": False,
            "Default_Dunning_Process_ID__c": "",
            "Dunning_CCs__c": "",
            "OwnerId": random.choice(("Lena Fischer", "Marc Dupont", "Grace Lee")),
            "SystemModstamp": stamp,
        },
    )


def _bill_groups(random: Random, book: Book, customer: Customer) -> None:
    if customer.number % 16 == 0:
        for name in ("Framework contract", random.choice(("Spot orders", "Rental equipment"))):
            fields = {"AccountId": customer.account_id, "Name": name, "Process__c": "", "PreventDunning__c": False}
            customer.bill_groups.append(book.add("BillGroup", fields))


def _contact(random: Random, book: Book, customer: Customer, person: Person, place: int, today: date) -> None:
    roles = ("Dunning Contact", "Invoice Contact", "", "Dunning Email CC Contact" if random.random() < 0.3 else "")
    person.role = roles[place] if place or random.random() < 0.6 else ""
    individual = ""
    if random.random() < 0.25:
        individual = book.add("Individual", {"FirstName": person.given, "LastName": person.family})
    person.contact_id = book.add(
        "Contact",
        {
            "AccountId": customer.account_id,
            "IndividualId": individual,
            "FirstName": person.given,
            "LastName": person.family,
            "Title": random.choice(("Accounts payable", "Managing director", "Finance", "")),
            "Email": person.email,
            "Phone": person.phone,
            "MobilePhone": person.mobile,
            "MailingStreet": customer.street,
            "MailingCity": customer.town,
            "MailingPostalCode": customer.postal_code,
            "MailingCountry": customer.land.country,
            "DunningContactRole__c": person.role,
            "HasOptedOutOfEmail": False,
            "SystemModstamp": f"{today - timedelta(days=random.randint(0, 300))}T10:00:00.000Z",
        },
    )
    relation = {"AccountId": customer.account_id, "ContactId": person.contact_id, "IsDirect": True, "IsActive": True}
    book.add("AccountContactRelation", {**relation, "StartDate": "", "EndDate": "", "DunningContactRole__c": ""})


def _payment_method(book: Book, customer: Customer) -> None:
    book.add(
        "PaymentMethod",
        {
            "AccountId": customer.account_id,
            "Type": "Card",
            "Provider__c": "stripe",
            "ProviderCustomer__c": f"cus_demo{customer.number:05d}",
            "GatewayToken": f"pm_demo{customer.number:05d}",
            "IsDefault": True,
            "Status": "Active",
        },
    )


def _oddities(book: Book, customers: list[Customer], today: date) -> None:
    """What a clerk meets: legacy roles, two people with one role, somebody who left, an adviser, odd CC lists."""
    accounts, contacts, relations = (book.rows[name] for name in ("Account", "Contact", "AccountContactRelation"))
    with_two = [c for c in customers if len(c.people) >= 2]
    for customer in with_two[5:25]:
        role = {"AccountId": customer.account_id, "ContactId": customer.people[1].contact_id, "Role": "Dunning Contact"}
        book.add("AccountContactRole", {**role, "IsPrimary": True})
    by_id = {row["Id"]: row for row in contacts}
    for customer in with_two[30:32]:  # nobody is picked at random: the statement is held
        for person in customer.people[:2]:
            by_id[person.contact_id]["DunningContactRole__c"] = "Dunning Email Contact"
    for row in relations[40:44]:  # left the company last month
        row["IsActive"], row["EndDate"] = "false", str(today - timedelta(days=30))
    for row in (by_id[c.people[0].contact_id] for c in customers if len(c.people) == 1 and c.number % 3 == 0):
        row["Email"] = ""  # only a letter reaches them
    _adviser(book, customers)
    accounts[11]["Dunning_CCs__c"] = f"boss@{customers[11].domain}, treasury@{customers[11].domain}"
    accounts[12]["Dunning_CCs__c"] = (
        f"a@{customers[12].domain}, b@{customers[12].domain};; B@{customers[12].domain} ,bad@"
    )
    for place in (20, 21, 22):
        accounts[place]["PreventDunning__c"] = "true"
    for place in range(42, len(accounts), 4):  # key accounts: a person looks at every reminder
        accounts[place]["Default_Dunning_Process_ID__c"] = "high_value"
    for place, customer in enumerate(customers):
        if customer.land.country == "DE" and place % 3 == 0 and not accounts[place]["Default_Dunning_Process_ID__c"]:
            accounts[place]["Default_Dunning_Process_ID__c"] = "de_business"
    accounts[30]["Default_Dunning_Process_ID__c"] = "none"
    accounts[31]["Default_Dunning_Process_ID__c"] = "platinum"  # no such process: held with a finding
    accounts[41]["ParentId"] = accounts[40]["Id"]


def _adviser(book: Book, customers: list[Customer]) -> None:
    """A tax adviser who reads along for several clients without belonging to them."""
    own = next(c for c in customers if c.land.country == "DE" and len(c.people) >= 2)
    clients = [c for c in customers if c.land.country == "DE" and c is not own][:6]
    for client in clients:
        relation = {"AccountId": client.account_id, "ContactId": own.people[1].contact_id, "IsDirect": False}
        book.add(
            "AccountContactRelation",
            {
                **relation,
                "IsActive": True,
                "StartDate": "",
                "EndDate": "",
                "DunningContactRole__c": "Dunning Email CC Contact",
            },
        )

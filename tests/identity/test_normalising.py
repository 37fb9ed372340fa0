"""The golden normal forms of the domain page, and what identifies nobody."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

import pytest

from dunning_pipeline.identity.values.addresses import normalised_address
from dunning_pipeline.identity.values.companies import normalised_company
from dunning_pipeline.identity.values.emails import normalised_email
from dunning_pipeline.identity.values.persons import normalised_person
from dunning_pipeline.identity.values.phones import normalised_phone
from dunning_pipeline.identity.values.registry import NORMALISERS, SEPARATOR
from dunning_pipeline.identity.values.tax_ids import normalised_official_id


@pytest.mark.parametrize(
    "written",
    ["<MichelleNoris@gmail.com>", '"MichelleNoris"@gmail.com', " michellenoris@gmail.com ", "michelle.noris+crm@googlemail.com",
     "Michelle Noris <michellenoris@gmail.com>", "mailto:MICHELLENORIS@GMAIL.COM"],
)  # fmt: skip
def test_one_mailbox_however_it_is_written(written: str) -> None:
    assert normalised_email(written)[0] == "michellenoris@gmail.com"


def test_dots_and_plus_parts_count_outside_gmail() -> None:
    assert normalised_email("a.b+c@example.org")[0] == "a.b+c@example.org"


@pytest.mark.parametrize("written", ["+1 (650) 277-9500", "1 (650) 277-9500", "001 650 277 9500"])
@pytest.mark.parametrize("country", ["", "US", "United States"])
def test_one_number_however_it_is_written(written: str, country: str) -> None:
    if written.startswith("001") and country:
        written = written.replace("001", "011 1", 1)  # the prefix that people dial there
    assert normalised_phone(written, country)[0] == "+16502779500"


def test_a_national_number_is_read_with_the_country_of_its_record() -> None:
    assert (
        normalised_phone("040 5550120", "Deutschland")[0] == normalised_phone("+49 40 5550120", "")[0] == "+49405550120"
    )
    assert normalised_phone("0151 23456789", "DE")[1] == "mobile"


def test_one_address_in_one_line_or_in_fields() -> None:
    forms = {
        normalised_address("220 Laurier Avenue West, Suite 1000, ON, CA", "", "", "", "")[0],
        normalised_address("220 Laurier Ave W, Ste 1000, Ontario, Canada", "", "", "", "")[0],
        normalised_address("220 Laurier Avenue West, Suite 1000", "", "", "ON", "CA")[0],
        normalised_address("220 Laurier Ave W # 1000", "", "", "Ontario", "Canada")[0],
    }
    assert len(forms) == 1 and None not in forms


@pytest.mark.parametrize(
    ("one", "other"),
    [("Hafenstraße 12", "Hafenstr. 12"), ("Hafen Strasse 12", "12 Hafenstrasse"), ("12, rue de la Paix", "12 Rue Paix"),
     ("ul. Długa 5/7", "Dluga 5-7"), ("Calle Mayor, nº 4", "C/ Mayor 4"), ("Avda. de América 3", "Avenida América 3"),
     ("5 Oak Street Apt 3", "5 Oak St. #3")],
)  # fmt: skip
def test_street_words_of_five_languages(one: str, other: str) -> None:
    assert (
        normalised_address(one, "X", "10115", "", "")[0]
        == normalised_address(other, "X", "10115", "", "")[0]
        is not None
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hafenstraße 12", "Hafenstraße 21"),
        ("5 Oak Street Apt 3", "5 Oak Street Apt 4"),
        ("5 North Street", "5 South Street"),
    ],
)
def test_other_addresses_stay_other(one: str, other: str) -> None:
    assert normalised_address(one, "X", "10115", "", "")[0] != normalised_address(other, "X", "10115", "", "")[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [(("José", "Núñez", ""), ("jose", "nunez")), (("", "", "Doe, John"), ("john", "doe")),
     (("", "", "Dr. Ludwig van Beethoven"), ("ludwig", "vanbeethoven")), (("Владимир", "Путин", ""), ("vladimir", "putin")),
     (("Hans", "Mueller", ""), ("hans", "muller")), (("Hans", "Müller", ""), ("hans", "muller")),
     (("Mary Jane", "O'Neil", ""), ("mary", "oneil"))],
)  # fmt: skip
def test_names_of_people(name: tuple[str, str, str], expected: tuple[str, str]) -> None:
    assert normalised_person(*name)[:2] == expected


@pytest.mark.parametrize(
    "name",
    [
        ("ACME GmbH", "", ""),
        ("Accounts", "Payable", ""),
        ("", "", "Stadtwerke Kiel"),
        ("", "n/a", ""),
        ("X" * 400, "Y", ""),
    ],
)
def test_what_is_no_name_of_a_person(name: tuple[str, str, str]) -> None:
    assert normalised_person(*name)[:2] == (None, None)


@pytest.mark.parametrize(
    ("name", "core", "form"),
    [("Siemens Aktiengesellschaft", "siemens", "ag"), ("ACME Corp.", "acme", "corp"), ("Acme Corporation", "acme", "corp"),
     ("Müller GmbH & Co. KG", "muller", "gmbhcokg"), ("Gesellschaft mbH Nord", "nord", "gmbh"), ("AG", "ag", None),
     ("The Foo and Bar Public Limited Company", "foo bar", "plc")],
)  # fmt: skip
def test_names_of_companies(name: str, core: str, form: str | None) -> None:
    assert normalised_company(name)[:2] == (core, form)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Acme SAS", "ACME S.A.S."), ("Acme LLP", "Acme L.L.P."), ("Acme GmbH & Co. KG", "Acme, GmbH und Co KG"), ("Acme SA", "Acme, S. A."),
     ("Acme SARL", "Acme Sàrl"), ("Acme Sp. z o.o.", "ACME sp.z o.o."), ("Acme A/S", "Acme AS"), ("Acme Pvt. Ltd.", "Acme Private Limited"),
     ("Acme SL", "Acme S.L.U."), ("Acme Co., Ltd.", "Acme Limited"), ("Acme e.V.", "Acme eV")],
)  # fmt: skip
def test_one_form_however_it_is_written(one: str, other: str) -> None:
    assert normalised_company(one)[:2] == normalised_company(other)[:2]
    assert normalised_company(one)[0] == "acme" and normalised_company(one)[1] is not None


def test_one_company_with_umlauts_and_without() -> None:
    assert (
        normalised_company("Haas u. Koehler Bautechnik, eK")[:2]
        == normalised_company("Haas & Köhler Bautechnik e. K.")[:2]
    )


@pytest.mark.parametrize(
    ("name", "core", "form"),
    [("Miller J. R.", "miller j r", None), ("Acme S.A. de C.V.", "acme", "sacv"), ("S. A. Miller", "s a miller", None),
     ("Hotel A B", "hotel a b", None), ("Private Limited", "private", "ltd"), ("Acme LP", "acme", "lp")],
)  # fmt: skip
def test_letters_that_are_no_form_stay_in_the_name(name: str, core: str, form: str | None) -> None:
    assert normalised_company(name)[:2] == (core, form)


def test_official_numbers_need_right_check_digits() -> None:
    assert normalised_official_id("vat_id", "DE 811 907 980", "")[0] == "VAT:DE811907980"
    assert normalised_official_id("tax_id", "811907980", "Germany")[0] == "VAT:DE811907980"
    assert normalised_official_id("vat_id", "DE811907981", "DE") == (None, "invalid")
    assert normalised_official_id("lei", "529900T8BM49AURSDO55", "")[0] is not None
    assert normalised_official_id("lei", "529900T8BM49AURSDO56", "") == (None, "invalid")


@pytest.mark.parametrize(
    "number",
    ["FR40303265045", "ESB58378431", "PL8567346215", "NL123456789B13", "IT00743110157", "GB980780684", "ATU13585627"],
)
def test_vat_numbers_of_other_countries(number: str) -> None:
    assert normalised_official_id("vat_id", number, "") == (f"VAT:{number}", None)
    assert normalised_official_id("vat_id", number[:-1] + str((int(number[-1]) + 1) % 10), "")[1] == "invalid"


@pytest.mark.parametrize(
    "text", ["n/a", "none", "NULL", "test@test.com", "noemail@none.com", "aaa@aaa.com", "-", "bad@", "a b@c.de"]
)
def test_mailboxes_that_are_none(text: str) -> None:
    assert normalised_email(text)[0] is None


@pytest.mark.parametrize("text", ["000-000", "000-000-0000", "n/a", "123456", "1111111111", "12"])
def test_numbers_that_are_none(text: str) -> None:
    assert normalised_phone(text, "US")[0] is None


@pytest.mark.parametrize(
    "text", ["\x00", "a\ud800b", "\ufffd\ufffd", "﷽" * 200, "\x1f" * 3, "x" * 10_000, "💣", "ｔｅｓｔ", "\u202eevil"]
)
def test_no_normaliser_breaks_on_odd_text(text: str) -> None:
    for normaliser in NORMALISERS.values():
        key = SEPARATOR.join([text.replace(SEPARATOR, " ")] * len(normaliser.inputs))
        ((_, _, *values),) = normaliser.apply([key])
        assert len(values) == len(normaliser.outputs)

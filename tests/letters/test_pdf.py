"""Letters: PDF/A-3b, the same bytes each time, codes that scan, long tables, literal names, a jailed layout."""

import dataclasses
import hashlib
import io
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pikepdf
import pypdf
import pytest
import zxingcpp
from PIL import Image

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.letters.compiling import compile_template
from dunning_pipeline.letters.paper.payment_codes import (
    epc_payload,
    qr_reference,
    qr_svg,
    scor_reference,
    swiss_payload,
)
from dunning_pipeline.letters.paper.postal import postal_lines
from dunning_pipeline.letters.pdf import render_pdf
from dunning_pipeline.letters.proof.guarded import letter_problems
from dunning_pipeline.letters.proof.personas import personas


def text_of(pdf: bytes) -> list[str]:
    return [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages]


def scan(svg_or_pdf_png: bytes) -> list[str]:
    return [code.text for code in zxingcpp.read_barcodes(Image.open(io.BytesIO(svg_or_pdf_png)))]


def pixels(pdf: bytes, page: int, tmp_path) -> bytes:
    (tmp_path / "letter.pdf").write_bytes(pdf)
    command = ["pdftoppm", "-r", "150", "-png", "-f", str(page), "-l", str(page), "letter.pdf", "page"]
    try:
        subprocess.run(command, cwd=tmp_path, check=True)
    except FileNotFoundError:
        pytest.skip("pdftoppm (Debian package poppler-utils) is not installed")
    return next(tmp_path.glob("page*.png")).read_bytes()


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "pl", "ja"])
def test_the_reminder_says_it_all_in_each_language(language, version, sample):
    letter = version("final_reminder", "letter", language)
    assert letter.language == language
    text = "\n".join(text_of(render_pdf(sample("final_reminder", language), version=letter)))
    assert "D-2025-000123" in text and "ACME GmbH" in text and "DE89 3704 0044 0532 0130 00" in text
    figures = re.sub(r"[\s.,\u202f]", "", text)
    for amount in ("600000", "50000", "25000", "20731", "5065", "652296"):
        assert amount in figures
    assert letter.compiled["labels"]["annex"].split()[0] in text
    assert "□" not in text and "\ue000" not in text


def test_it_is_pdf_a_3b_tagged_dated_and_carries_its_items(version, sample):
    document = sample("final_reminder", "de")
    with pikepdf.open(io.BytesIO(render_pdf(document, version=version("final_reminder", "letter", "de")))) as pdf:
        meta = pdf.open_metadata()
        assert (meta["pdfaid:part"], meta["pdfaid:conformance"]) == ("3", "B")
        assert pdf.Root.Lang == "de" and "/StructTreeRoot" in pdf.Root and pdf.Root.MarkInfo.Marked
        assert pdf.Root.OutputIntents[0].S == "/GTS_PDFA1"
        assert str(pdf.docinfo["/Title"]) == "Letzte Mahnung D-2025-000123"
        assert str(pdf.docinfo["/CreationDate"]).startswith("D:20250831")
        attached = pdf.attachments["items.csv"].get_file().read_bytes().decode()
        assert attached.splitlines()[1] == "A,1,2025-05-15,108,3,10000.00,6000.00,EUR"
        for font in fonts(pdf):
            assert any(key in font for key in ("/FontFile2", "/FontFile3")), font


def fonts(pdf):
    return [obj for obj in pdf.objects if isinstance(obj, pikepdf.Dictionary) and obj.get("/Type") == "/FontDescriptor"]


def test_the_same_document_gives_the_same_bytes_in_any_thread_and_process(version, sample, tmp_path):
    letter, document = version("friendly_reminder", "letter", "en"), sample("friendly_reminder", "en")
    first = render_pdf(document, version=letter)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: render_pdf(document, version=letter), range(8))) == {first}
    code = (
        "import hashlib, sys; from pathlib import Path; from dunning_pipeline.settings.workspace import Workspace\n"
        "from dunning_pipeline.letters.catalogue import Catalogue\n"
        "from dunning_pipeline.letters.compiling import compile_template\n"
        "from dunning_pipeline.letters.pdf import render_pdf\n"
        "from dunning_pipeline.letters.samples import sample_document\n"
        "c = Catalogue(Workspace('.')); v = compile_template(c.find('friendly_reminder', 'letter', 'en'))\n"
        "pdf = render_pdf(sample_document(c.root, 'friendly_reminder', 'en'), version=v)\n"
        "print(hashlib.sha256(pdf).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == hashlib.sha256(first).hexdigest()


def test_a_draft_is_marked_and_is_not_the_letter(version, sample):
    letter, document = version("friendly_reminder", "letter", "de"), sample("friendly_reminder", "de")
    assert "ENTWURF" in text_of(render_pdf(document, version=letter, draft=True))[0]
    assert "ENTWURF" not in text_of(render_pdf(document, version=letter))[0]


def many(document, count):
    return personas(document)["200 invoices"] | {
        "items": [
            {**document["items"][0], "invoice_number": f"INV-{n:05d}", "open_amount": "100.00"} for n in range(count)
        ]
    }


def test_sums_are_carried_from_page_to_page(version, sample):
    letter, document = version("friendly_reminder", "letter", "en"), sample("friendly_reminder", "en")
    pages = text_of(render_pdf(many(document, 200), version=letter))
    assert len(pages) > 5 and f"1/{len(pages)}" in pages[0]
    listed = 0
    for before, after in pairwise(pages):
        numbers = re.findall(r"INV-\d{5}", before)
        if not numbers or "INV-" not in after:
            continue
        listed += len(numbers)
        carried = f"{listed * 100:,.2f}"
        assert re.search(rf"Carried forward\s*{carried}", before), carried
        assert re.search(rf"Brought forward\s*{carried}", after), carried
    assert "Brought forward" not in pages[0] and "Carried forward" not in pages[-1]
    whole = "".join(pages)
    assert all(whole.count(f"INV-{n:05d}") == 1 for n in range(200))


def test_a_table_that_a_long_opening_pushes_over_the_page_carries_its_sum_too(version, sample):
    document = sample("final_reminder", "en")
    items = [{**document["items"][0], "invoice_number": f"INV-{n:05d}", "open_amount": "100.00"} for n in range(11)]
    opening = "\n\n".join(f"Paragraph {n}, written by hand." for n in range(12))
    document |= {"items": items, "texts": {**document["texts"], "opening": opening}}
    first, second = text_of(render_pdf(document, version=version("final_reminder", "letter", "en")))[:2]
    carried = f"{len(re.findall(r'INV-[0-9]{5}', first)) * 100:,.2f}"
    assert re.search(rf"Carried forward\s*{carried}", first) and re.search(rf"Brought forward\s*{carried}", second)


def test_many_charges_and_long_words_go_on_over_the_page(version, sample):
    document = sample("final_reminder", "en")
    (interest,) = [charge for charge in document["charges"] if charge["type"] == "interest"]
    document["charges"] = [{**interest, "calculation": None, "invoice_number": f"INV-{n:05d}"} for n in range(90)]
    closing = "\n".join(f"Line {n:02d} of the closing." for n in range(80))
    document["texts"] = {**document["texts"], "closing": closing}
    pdf = pypdf.PdfReader(io.BytesIO(render_pdf(document, version=version("final_reminder", "letter", "en"))))
    charged, closed = 0, 0
    for page in pdf.pages:
        below = [y for text, _, y in placed(page) if y > 297 - 25 and ("INV-" in text or "closing" in text)]
        assert below == []  # nothing is set over the footer or outside of the paper
        text = page.extract_text()
        charged, closed = charged + len(set(re.findall(r"INV-\d{5}", text))), closed + text.count("of the closing")
    assert (charged, closed) == (90, 80)


def placed(page):
    """(text, mm from the left, mm from the top) of each piece of text, by its baseline."""
    found, height = [], float(page.mediabox.height)

    def visit(text, cm, tm, font, size):
        if text.strip():
            x = tm[4] * cm[0] + tm[5] * cm[2] + cm[4]
            y = tm[4] * cm[1] + tm[5] * cm[3] + cm[5]
            found.append((text.strip(), x / 72 * 25.4, (height - y) / 72 * 25.4))

    page.extract_text(visitor_text=visit)
    return found


@pytest.mark.parametrize(
    ("country", "left", "right", "top", "bottom"),
    # DIN 5008 form B; US #10: what shows wherever a sheet folded in three lies sideways, on the envelope's bottom
    [("DE", 20 + 4.9, 105, 45 + 17.7, 90), ("US", 22.2 + 3.1, 108, 52 + 3, 80)],
)
def test_the_address_stands_in_the_envelopes_window(country, left, right, top, bottom, version, sample):
    document = sample("friendly_reminder", "en")
    document["company"]["address"] |= {"country": country}
    lines = {"name": "Name One", "street": "Street Two\nFloor Three", "city": "Town Four", "state": None}
    document["address"] = {**lines, "postal_code": "12345", "country": country}
    pdf = pypdf.PdfReader(io.BytesIO(render_pdf(document, version=version("friendly_reminder", "letter", "en"))))
    words = [(text, x, y) for text, x, y in placed(pdf.pages[0]) if re.search("One|Two|Three|Four", text)]
    assert words
    for _, x, y in words:
        assert left <= x <= right - 10 and top <= y - 2.5 and y <= bottom


@pytest.mark.slow
def test_ten_thousand_invoices_come_out_whole(version, sample):
    letter, document = version("friendly_reminder", "letter", "en"), sample("friendly_reminder", "en")
    with pikepdf.open(io.BytesIO(render_pdf(many(document, 10_000), version=letter))) as pdf:
        assert len(pdf.pages) > 200


def test_the_euro_code_scans_from_the_printed_page(version, sample, tmp_path):
    document = sample("final_reminder", "de")
    pdf = render_pdf(document, version=version("final_reminder", "letter", "de"))
    (payload,) = scan(pixels(pdf, 1, tmp_path))
    lines = payload.split("\n")
    assert lines[:4] == ["BCD", "002", "1", "SCT"]
    assert lines[4:8] == ["COBADEFFXXX", "Northwind Supplies GmbH", "DE89370400440532013000", "EUR6522.96"]
    assert lines[10] == "D-2025-000123"


@pytest.mark.parametrize(
    ("iban", "amount", "currency"),
    [(None, "1.00", "EUR"), ("US00", "1.00", "EUR"), ("DE89", "1.00", "USD"), ("DE89", "0.00", "EUR"),
     ("DE89", "-5.00", "EUR"), ("DE89", "1000000000.00", "EUR"), ("GB29", "1.00", "EUR")],
)  # fmt: skip
def test_no_code_where_it_would_not_work(iban, amount, currency):
    assert epc_payload({"iban": iban, "holder": "X", "bic": None, "reference": "R"}, amount, currency) is None


def swiss(document):
    address = {"street": "Bahnhofstrasse 1", "postal_code": "8001", "city": "Zürich", "state": None, "country": "CH"}
    bank = {"iban": "CH9300762011623852957", "holder": "Muster AG", "bic": None, "bank_name": None}
    company = {**document["company"], "name": "Muster AG", "address": address}
    return {**document, "currency": "CHF", "company": company, "payment": {**document["payment"], **bank}}


def test_the_swiss_payment_part_scans_from_the_printed_page(version, sample, tmp_path):
    document = swiss(sample("final_reminder", "de"))
    pdf = render_pdf(document, version=version("final_reminder", "letter", "de"))
    pages = text_of(pdf)
    assert "Empfangsschein" in pages[-1] and "Zahlteil" in pages[-1] and "6 522.96" in pages[-1]
    (payload,) = scan(pixels(pdf, len(pages), tmp_path))
    assert payload == swiss_payload(document)
    lines = payload.split("\n")
    assert lines[:6] == ["SPC", "0200", "1", "CH9300762011623852957", "S", "Muster AG"]
    assert lines[18:20] == ["6522.96", "CHF"] and lines[20:22] == ["S", "ACME GmbH"]
    assert lines[27:31] == ["SCOR", scor_reference("D-2025-000123"), "D-2025-000123", "EPD"]


def test_creditor_references_have_valid_check_digits():
    reference = scor_reference("D-2025-000123")
    turned = reference[4:] + reference[:4]
    assert int("".join(str(int(letter, 36)) for letter in turned)) % 97 == 1
    assert scor_reference("x" * 30) == ""
    assert qr_svg("x").startswith("<svg")


def test_a_qr_iban_takes_a_qr_reference(version, sample, tmp_path):
    document = swiss(sample("final_reminder", "fr"))
    document["payment"] |= {"iban": "CH4431999123000889012"}
    pdf = render_pdf(document, version=version("final_reminder", "letter", "fr"))
    pages = text_of(pdf)
    (payload,) = scan(pixels(pdf, len(pages), tmp_path))
    kind, reference, message, end = payload.split("\n")[27:31]
    assert (kind, message, end) == ("QRR", "D-2025-000123", "EPD")
    assert reference == qr_reference("D-2025-000123") and len(reference) == 27
    assert f"{reference[:2]} {reference[2:7]} {reference[7:12]}" in pages[-1]
    assert qr_reference("21000000000313947143000901")[-1] == "7"  # the example of the implementation guidelines
    document["payment"] |= {"reference": None}
    assert swiss_payload(document) is None  # a draft has no number yet


@pytest.mark.parametrize(
    ("address", "debtor", "printed"),
    [
        ({"name": "Łukasz 😀 & 日本 Sàrl", "country": "DE"}, ["S", "Łukasz & Sàrl"], "Łukasz & Sàrl"),
        ({"name": "日本株式会社"}, ["", ""], "(Name/Adresse)"),
        ({"country": "Schweiz"}, ["", ""], "(Name/Adresse)"),
    ],
)
def test_the_debtor_of_a_swiss_bill_is_the_same_in_code_and_print(address, debtor, printed, version, sample):
    document = swiss(sample("final_reminder", "de"))
    document["address"] |= address
    assert swiss_payload(document).split("\n")[20:22] == debtor
    assert printed in text_of(render_pdf(document, version=version("final_reminder", "letter", "de")))[-1]


def test_names_are_printed_as_they_are(version, sample):
    name = '#eval("1") $x^2$ *a* _b_ <label> @ref \\n `code` [x] שלום مرحبا 日本 😀'
    document = sample("friendly_reminder", "en")
    document["address"]["name"] = name + " 𓀀\u202e\x00"
    text = text_of(render_pdf(document, version=version("friendly_reminder", "letter", "en")))[0]
    for part in ('#eval("1")', "$x^2$", "*a*", "_b_", "<label>", "@ref", "`code`", "日本"):
        assert part in text
    assert "□" in text  # the hieroglyph has no font: a box, not a failed letter


@pytest.mark.parametrize("name", ["long name", "Japanese yen", "Kuwaiti dinar", "nothing optional", "hostile name"])
def test_every_persona_gets_a_letter(name, version, sample):
    document = personas(sample("second_reminder", "de"))[name]
    assert text_of(render_pdf(document, version=version("second_reminder", "letter", "de")))


def test_american_letters_use_american_paper(version, sample):
    document = sample("friendly_reminder", "en")
    document["company"]["address"] |= {"country": "US", "state": "CA", "city": "San Francisco", "postal_code": "94105"}
    document["currency"], document["locale"] = "USD", "en_US"
    page = pypdf.PdfReader(
        io.BytesIO(render_pdf(document, version=version("friendly_reminder", "letter", "en")))
    ).pages[0]
    assert (round(page.mediabox.width), round(page.mediabox.height)) == (612, 792)
    assert "$1,286.40" in page.extract_text()


@pytest.mark.parametrize(
    ("address", "lines"),
    [
        ({"name": "A", "street": "S 1\nHof", "postal_code": "80331", "city": "München", "country": "DE"},
         ["A", "S 1", "Hof", "80331 München"]),
        ({"name": "A", "street": "1 Main", "postal_code": "97403", "city": "Salem", "state": "OR", "country": "US"},
         ["A", "1 Main", "Salem, OR 97403", "VEREINIGTE STAATEN"]),
        ({"name": "A", "street": "1 High St", "postal_code": "W1A 1AA", "city": "London", "country": "GB"},
         ["A", "1 High St", "London", "W1A 1AA", "VEREINIGTES KÖNIGREICH"]),
        ({"name": "A", "city": "Wien", "postal_code": "1010", "country": "Österreich"},
         ["A", "1010 Wien", "ÖSTERREICH"]),
    ],
)  # fmt: skip
def test_addresses_by_country(address, lines):
    assert postal_lines(address, "DE", "de_DE") == lines


@pytest.mark.parametrize(
    "attack",
    ['#read("/etc/hostname")', '#read("../../policies/company.yaml")', '#import "@preview/tablex:0.0.9": *',
     '#image("/etc/hostname")', "#while true {}", "#data.nothing"],
)  # fmt: skip
def test_a_layout_reads_nothing_and_imports_nothing(attack, version, sample):
    letter = version("friendly_reminder", "letter", "en")
    bad = dataclasses.replace(letter, compiled={**letter.compiled, "layout": letter.compiled["layout"] + attack})
    with pytest.raises(InvalidDeclaration, match="does not compile"):
        render_pdf(sample("friendly_reminder", "en"), version=bad)


def test_letters_that_are_proved_leave_no_file_behind(version, sample, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # of the process that makes them
    letter, document = version("friendly_reminder", "letter", "en"), sample("friendly_reminder", "en")
    assert letter_problems([(letter, document), (letter, document)]) == [None, None]
    assert list(tmp_path.iterdir()) == []


def test_a_layout_that_never_ends_is_stopped(version, sample):
    letter = version("friendly_reminder", "letter", "en")
    endless = letter.compiled["layout"] + "#for a in range(900000000) { [] }"
    bad = dataclasses.replace(letter, compiled={**letter.compiled, "layout": endless})
    document = sample("friendly_reminder", "en")
    problems = letter_problems([(letter, document), (bad, document), (letter, document)], seconds=3)
    assert problems[0] is None and problems[2] is None
    assert "did not finish" in str(problems[1]) or "memory" in str(problems[1])


def test_the_logo_is_printed_and_pinned_with_the_version(shipped, sample, tmp_path):
    source = shipped.find("friendly_reminder", "letter", "en")
    root = tmp_path / "templates"
    shutil.copytree(shipped.root, root)
    picture = io.BytesIO()
    Image.new("RGB", (40, 20), "#b3261e").save(picture, "PNG")
    (root / "logo.png").write_bytes(picture.getvalue())
    file = root / source.file.relative_to(shipped.root)
    with_logo = compile_template(dataclasses.replace(source, root=root, file=file, logo="logo.png"))
    assert with_logo.version != compile_template(source).version
    pdf = render_pdf(sample("friendly_reminder", "en"), version=with_logo)
    assert "Northwind Supplies GmbH\n" not in text_of(pdf)[0].split("ACME")[0].split("·")[0]
    with pytest.raises(InvalidDeclaration, match="no such logo"):
        compile_template(dataclasses.replace(source, logo="../policies/company.yaml"))

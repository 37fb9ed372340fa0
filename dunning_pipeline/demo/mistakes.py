"""Spoils a few rows of the demo's files the way real exports are spoilt: the reject tables have something to say."""

# The broken rows are copies of a good row with one thing wrong; their ids are their own, so nothing good is lost.


def spoil_crm(files: dict[str, bytes]) -> None:
    """An amount with a letter, a day that does not exist, a duplicate key, a NUL byte, a row with too few columns."""
    name = "salesforce/Invoice.csv"
    lines = files[name].decode().rstrip("\n").split("\n")
    header, rows = lines[0].split(","), lines[1:]
    place = {column: n for n, column in enumerate(header)}

    def broken(source: str, serial: int, column: str, value: str) -> str:
        cells = source.split(",")
        cells[place["Id"]] = f"3ttBAD{serial:09d}AAA"
        cells[place["InvoiceNumber"]] = f"INV-BAD-{serial}"
        cells[place[column]] = value
        return ",".join(cells)

    plain_rows = [row for row in rows if '"' not in row]
    rows += [
        broken(plain_rows[100], 1, "TotalAmountWithTax", "1O4.50"),
        broken(plain_rows[200], 2, "DueDate", "2025-02-30"),
        broken(plain_rows[300], 3, "Description", "Packing\x00 tape"),
        broken(plain_rows[400], 4, "InvoiceDate", "soon"),
        plain_rows[500],  # exported twice
        ",".join(broken(plain_rows[600], 5, "Status", "Posted").split(",")[:6]),
    ]
    files[name] = ("\n".join([lines[0], *rows]) + "\n").encode()


def spoil_erp(files: dict[str, bytes]) -> None:
    """Thousands separators gone wrong, the 31st of February, a payment of nobody."""
    files["erp/invoices.csv"] += b"R-BAD-1;70007;;01.03.2025;31.03.2025;EUR;1.23.4,00;open\n"
    files["erp/invoices.csv"] += b"R-BAD-2;70007;;01.02.2025;31.02.2025;EUR;250,00;open\n"
    files["erp/payments.csv"] += b"Z-BAD-1;79999;R-UNKNOWN;abc;EUR;01.03.2025\n"

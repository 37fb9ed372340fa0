"""The words that the demo company's customers are made of: names, towns, streets, numbers reserved for fiction."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Land:
    """What is usual in one country; phone patterns are ranges that the regulators keep free for fiction."""

    country: str
    language: str
    currency: str
    time_zone: str
    share: int  # of a hundred accounts
    legal_forms: tuple[str, ...]
    spelled_out: dict[str, str]  # legal form → as the second source writes it
    trades: tuple[str, ...]
    founders: tuple[str, ...]
    given: tuple[str, ...]
    towns: tuple[tuple[str, str], ...]  # town, postal code
    streets: tuple[str, ...]
    number_first: bool
    phone: tuple[str, str]  # (international, national), n digits as #
    mobile: tuple[str, str]


GERMANY = Land(
    "DE", "de", "EUR", "Europe/Berlin", 40,
    ("GmbH", "GmbH & Co. KG", "AG", "KG", "e. K."),
    {"GmbH": "Gesellschaft mbH", "GmbH & Co. KG": "GmbH und Co KG", "AG": "Aktiengesellschaft",
     "KG": "KG", "e. K.": "eK"},
    ("Maschinenbau", "Elektrotechnik", "Logistik", "Druckerei", "Möbelwerke", "Großhandel", "Getränke", "Bautechnik",
     "Medizintechnik", "Feinkost", "Verlag", "Kältetechnik"),
    ("Müller", "Schäfer", "Krüger", "Böhm", "Lange", "Weiß", "Hoffmann", "Jäger", "Brandt", "Köhler", "Vogel", "Sommer",
     "Lindner", "Haas", "Dietrich", "Östermann", "Petersen", "Groß", "Kowalski", "Yıldız"),
    ("Katharina", "Jürgen", "Sabine", "Wolfgang", "Anja", "Björn", "Ursula", "Tobias", "Monika", "Matthias", "Heike",
     "Günther", "Franziska", "Stefan", "Aylin", "Jörg"),
    (("Hamburg", "20457"), ("Berlin", "10117"), ("München", "80331"), ("Köln", "50667"), ("Nürnberg", "90402"),
     ("Leipzig", "04109"), ("Düsseldorf", "40213"), ("Lübeck", "23552")),
    ("Hauptstraße", "Bahnhofstraße", "Am Markt", "Industriestraße", "Königsallee", "Lindenweg", "Gewerbepark"), False,
    ("+49 40 66969###", "040 / 66969###"), ("+49 176 040690##", "0176 - 040690##"),
)  # fmt: skip

BRITAIN = Land(
    "GB", "en", "GBP", "Europe/London", 18,
    ("Ltd", "plc", "LLP"),
    {"Ltd": "Limited", "plc": "PLC", "LLP": "L.L.P."},
    ("Engineering", "Foods", "Logistics", "Printing", "Supplies", "Brewing", "Joinery", "Instruments", "Textiles"),
    ("Harrington", "Whitfield", "O'Connor", "Pemberton", "Ashcroft", "MacLeod", "Hughes", "Thornton", "Patel", "Bright",
     "Fairbairn", "Okafor", "Llewellyn", "Stokes"),
    ("Charlotte", "Oliver", "Priya", "Graham", "Eleanor", "Callum", "Fiona", "Robert", "William", "Margaret", "Adaeze"),
    (("London", "EC2A 4NE"), ("Manchester", "M1 3HZ"), ("Bristol", "BS1 4DJ"), ("Leeds", "LS1 4AP"),
     ("Edinburgh", "EH2 4RG"), ("Cardiff", "CF10 1EP")),
    ("High Street", "Station Road", "Victoria Road", "Mill Lane", "Queensway", "Dock Street"), True,
    ("+44 20 7946 0###", "(020) 7946 0###"), ("+44 7911 123###", "07911 123 ###"),
)  # fmt: skip

AMERICA = Land(
    "US", "en", "USD", "America/New_York", 20,
    ("Inc.", "LLC", "Corp."),
    {"Inc.": "Incorporated", "LLC": "L.L.C.", "Corp.": "Corporation"},
    ("Manufacturing", "Medical", "Hardware", "Packaging", "Robotics", "Foods", "Furniture", "Analytics", "Outfitters"),
    ("Sullivan", "Martinez", "Kowalczyk", "Bennett", "Nguyen", "Carver", "Hawthorne", "Delgado", "Reyes", "Whitaker",
     "Goldberg", "Sinclair", "Brooks", "Ramírez"),
    ("Jennifer", "Michael", "Elizabeth", "Robert", "Thomas", "Maria", "William", "Patricia", "Anthony", "Susan",
     "Linh"),
    (("New York", "10013"), ("Chicago", "60607"), ("Boston", "02110"), ("Austin", "78701"), ("Denver", "80202"),
     ("Portland", "97205")),
    ("Main Street", "Market Street", "Industrial Parkway", "Lincoln Avenue", "Harbor Drive", "Second Avenue"), True,
    ("+1 212 555 0###", "(212) 555-0###"), ("+1 646 555 0###", "646.555.0###"),
)  # fmt: skip

FRANCE = Land(
    "FR", "fr", "EUR", "Europe/Paris", 11,
    ("SARL", "SAS", "SA"),
    {"SARL": "S.A.R.L.", "SAS": "S.A.S.", "SA": "S.A."},
    ("Imprimerie", "Boulangerie", "Transports", "Menuiserie", "Ateliers", "Optique", "Fromagerie"),
    ("Lefèvre", "Moreau", "Dubois", "Gauthier", "Chevallier", "Benoît", "Fournier", "Lambert", "Béranger"),
    ("Hélène", "François", "Chloé", "Jean-Pierre", "Margaux", "Thierry", "Aurélie", "Étienne"),
    (("Paris", "75011"), ("Lyon", "69002"), ("Nantes", "44000"), ("Bordeaux", "33000"), ("Lille", "59800")),
    ("rue de la République", "avenue Victor Hugo", "rue du Marché", "boulevard Voltaire", "quai des Chartrons"), True,
    ("+33 1 99 00 ## ##", "01 99 00 ## ##"), ("+33 6 12 34 ## ##", "06.12.34.##.##"),
)  # fmt: skip

SPAIN = Land(
    "ES", "es", "EUR", "Europe/Madrid", 7,
    ("S.L.", "S.A."),
    {"S.L.": "SL", "S.A.": "Sociedad Anónima"},
    ("Conservas", "Talleres", "Bodegas", "Cerámicas", "Suministros", "Exportaciones"),
    ("García", "Fernández", "Núñez", "Ibáñez", "Peña", "Castaño", "Rodríguez", "Ortega"),
    ("María", "José", "Carmen", "Íñigo", "Lucía", "Alejandro", "Begoña"),
    (("Madrid", "28013"), ("Barcelona", "08002"), ("Valencia", "46002"), ("Sevilla", "41001")),
    ("Calle Mayor", "Avenida de la Constitución", "Calle del Carmen", "Paseo de Gracia"), False,
    ("+34 910 000 ###", "910 000 ###"), ("+34 600 000 ###", "600-000-###"),
)  # fmt: skip

JAPAN = Land(
    "JP", "en", "JPY", "Asia/Tokyo", 4,
    ("K.K.", "Co., Ltd."),
    {"K.K.": "Kabushiki Kaisha", "Co., Ltd.": "Co Ltd"},
    ("Trading", "Precision", "Seimitsu", "Shoji", "Kogyo"),
    ("Tanaka", "Watanabe", "Kobayashi", "Nakamura", "Matsumoto"),
    ("Haruka", "Kenji", "Yuki", "Takashi", "Aiko"),
    (("Tokyo", "100-0005"), ("Osaka", "530-0001"), ("Nagoya", "450-0002")),
    ("Marunouchi 2-chome", "Umeda 1-chome", "Meieki 4-chome"), False,
    ("+81 3 5550 0###", "03-5550-0###"), ("+81 90 1234 0###", "090-1234-0###"),
)  # fmt: skip

LANDS = (GERMANY, BRITAIN, AMERICA, FRANCE, SPAIN, JAPAN)

# role mailboxes: they reach a department and identify nobody
MAILBOXES = {
    "de": ("buchhaltung", "rechnung", "info"),
    "en": ("ap", "accounts.payable", "info"),
    "fr": ("comptabilite", "facturation"),
    "es": ("administracion", "facturas"),
}

# what the customer buys, with a unit price in euros
ARTICLES = (
    ("Packing tape, 48 mm, carton of 36", 54.00), ("Stretch film, 23 my, pallet", 389.00),
    ("Label printer ribbon, box of 12", 118.80), ("Hand pallet truck, 2.5 t", 329.00),
    ("Shelving bay, galvanised, 5 levels", 214.50), ("Cardboard boxes, double wall, 250 pcs", 176.25),
    ("Service contract, packaging line, month", 640.00), ("Safety gloves, 120 pairs", 97.20),
    ("Barcode scanner, cordless", 259.00), ("Air cushion machine, rental, month", 149.00),
    ("Edge protectors, 1,000 pcs", 132.00), ("On-site installation, day", 890.00),
)  # fmt: skip

PER_EURO = {"EUR": 1.0, "USD": 1.15, "GBP": 0.87, "JPY": 176.0}


def plain(text: str) -> str:
    """Text as an older system keeps it: umlauts written out, accents dropped, Turkish dotless i as i."""
    import unicodedata

    for umlaut, written in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("Ä", "Ae"), ("Ö", "Oe"), ("Ü", "Ue"), ("ß", "ss"),
                            ("ı", "i")):  # fmt: skip
        text = text.replace(umlaut, written)
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))

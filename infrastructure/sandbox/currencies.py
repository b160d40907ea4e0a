"""The supported currencies, and the smallest and largest charge in each (docs.stripe.com/currencies)."""

from infrastructure.sandbox.errors import ApiError

LARGEST_AMOUNT = 99_999_999

ZERO_DECIMAL_CODES = "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf"
ZERO_DECIMAL = frozenset(ZERO_DECIMAL_CODES.split())
SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "aud": "A$", "cad": "CA$", "nzd": "NZ$"}


def read_currency(given: str) -> str:
    """The lower-case code, or Stripe's refusal."""
    currency = given.lower()
    if currency not in SUPPORTED:
        raise ApiError(f"Invalid currency: {currency[:20]}. See docs.stripe.com/currencies.", param="currency")
    return currency


def check_amount(amount: int, currency: str) -> None:
    """Refuse an amount that no card network accepts."""
    smallest = SMALLEST.get(currency, 1)
    if amount < smallest:
        raise ApiError(
            f"Amount must be at least {display(smallest, currency)} {currency}",
            code="amount_too_small",
            param="amount",
        )
    if amount > LARGEST_AMOUNT:
        raise ApiError(
            f"Amount must be no more than {display(LARGEST_AMOUNT, currency)}",
            code="amount_too_large",
            param="amount",
        )


def display(amount: int, currency: str) -> str:
    """The formatted amount: 1999 usd is $19.99, 1999 jpy is ¥1,999."""
    symbol = SYMBOLS.get(currency, "")
    return f"{symbol}{amount:,}" if currency in ZERO_DECIMAL else f"{symbol}{amount // 100:,}.{amount % 100:02}"


SMALLEST = {
    "usd": 50, "aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250,
    "eur": 50, "gbp": 30, "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300,
    "nzd": 50, "pln": 200, "ron": 200, "sek": 300, "sgd": 50, "thb": 1000,
}  # fmt: skip

SUPPORTED_CODES = """
    usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bif bmd bnd bob brl bsd bwp byn bzd cad cdf chf
    clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl htg huf idr ils
    inr isk jmd jpy kes kgs khr kmf krw kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr mwk mxn myr
    mzn nad ngn nio nok npr nzd pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd
    std szl thb tjs top try ttd twd tzs uah ugx uyu uzs vnd vuv wst xaf xcd xof xpf yer zar zmw
"""
SUPPORTED = frozenset(SUPPORTED_CODES.split())

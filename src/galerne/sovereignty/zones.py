"""The zones as dated data: EU, EEA, adequate. (A country is a zone of its own.) Adequacy is not residency.

Sources: Treaty on European Union (27 members since 2020-02-01); EEA Agreement; the Commission's adequacy
decisions under Article 45 of the GDPR. Some decisions reach part of a country only (Canada: commercial
organizations under PIPEDA; Japan: businesses under the APPI): the zone says that there is a decision, and
its user must know whether it reaches the recipient. The United States are left out, because there each
firm chooses whether it is certified: a country cannot be adequate for some of its firms.

Codes are ISO 3166-1: regions of a country that have a code of their own (as RE) are not meant by its code.
"""

AS_OF = "2026-11-01"

# fmt: off
EU = frozenset([
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU",
    "IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
])
EEA = EU | {"IS", "LI", "NO"}
ADEQUATE = EEA | {
    "AD", "AR", "BR", "CA", "CH", "FO", "GB", "GG", "IL", "IM", "JE", "JP", "KR", "NZ", "UY",
}
# fmt: on

ZONES = {"EU": EU, "EEA": EEA, "ADEQUATE": ADEQUATE}

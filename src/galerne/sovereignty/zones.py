"""The four zones as dated data: country, EU, EEA, adequate. Adequacy is not residency.

Sources: Treaty on European Union (27 members since 2020-02-01); EEA Agreement; Commission adequacy
decisions under GDPR Article 45 as of 2026-11 (the United States only for certified firms: left out,
since a country cannot be adequate for some of its firms).
"""

AS_OF = "2026-11-01"

EU = frozenset(
    ["AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"]
)
EEA = EU | frozenset({"IS", "LI", "NO"})
ADEQUATE = EEA | frozenset(["AD", "AR", "BR", "CA", "CH", "FO", "GB", "GG", "IL", "IM", "JE", "JP", "KR", "NZ", "UY"])

ZONES = {"EU": EU, "EEA": EEA, "ADEQUATE": ADEQUATE}

"""Prints the price list of the Python package `genai-prices` (MIT licence) as JSON: what
`cargo xtask catalogue MAP --beside FILE --day DAY` reads. The package's repository has the same as
`prices/data.json`.

    pip install genai-prices && python xtask/price_list.py > prices.json
"""

import datetime
import decimal
import json
import sys

from genai_prices.data import providers


def plain(value):
    """Prices as texts, so that no figure is rounded; what is not said is left out."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, list):
        return [plain(one) for one in value]
    fields = {name: plain(one) for name, one in vars(value).items() if not name.startswith("_")}
    return {name: one for name, one in fields.items() if one is not None}


listed = [
    {
        "id": provider.id,
        "models": [
            {
                "id": model.id,
                "context_window": model.context_window,
                "prices": plain(model.prices),
            }
            for model in provider.models
        ],
    }
    for provider in providers
]
json.dump(listed, sys.stdout, indent=1)

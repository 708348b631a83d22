"""`python -m api.openapi`: write the contract of the service to openapi.json beside this file."""

import json
from pathlib import Path

from api.main import app

CONTRACT = Path(__file__).with_name("openapi.json")


def described() -> str:
    """The contract as the service itself describes it."""
    return json.dumps(app.openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    CONTRACT.write_text(described(), encoding="utf-8")

"""JSON Schemas of the files that people write: for editors, and for the names of unknown keys."""

import json
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from observatory.core.strict import Strict


def json_schema(model: type[Strict]) -> str:
    """Return the JSON Schema of a file, for editors; the same text for the same models."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **model.model_json_schema(),
    }
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


@lru_cache(maxsize=4)
def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of a file's model."""
    return model.model_json_schema()

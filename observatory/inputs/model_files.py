"""A YAML file made into its strict model; every error has the file and its line."""

import json
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from observatory.inputs.json_schemas import schema_of
from observatory.inputs.strict_yaml import YamlDocument
from observatory.inputs.validation_errors import field_errors_of, refusal

Model = TypeVar("Model", bound=BaseModel)


def model_of(document: YamlDocument, model: type[Model]) -> Model:
    """Return the document as the model; raise BadInput with file and line of every error."""
    try:
        return model.model_validate_json(json.dumps(document.value), strict=True)
    except ValidationError as error:
        field_errors = field_errors_of(error, document, schema_of(model))
        raise refusal(document.name, field_errors) from error

"""The prediction endpoint in the OpenAPI schema, by hand: it is a plain view, whose answers are the models' own."""

from typing import Any

from core.api.schema_parts import errors, reference

Schema = dict[str, Any]
ROW = {"age": 59, "bmi": 32.1}
TABLE = {"columns": ["age", "bmi"], "data": [[59, 32.1], [48, 21.6]]}
REFUSALS = (400, 401, 403, 404, 413, 415, 429, 500, 502, 503, 504)
# What answered, if anything did: a refusal before a deployment was found has neither.
ANSWERED_BY = {
    "X-Model-Version": {"description": "The version that answered.", "schema": {"type": "string"}},
    "X-Deployment-Id": {"description": "The deployment that answered.", "schema": {"type": "string"}},
}


def _format(name: str, schema: Schema) -> Schema:
    return {
        "type": "object",
        "title": name,
        "properties": {
            name: schema,
            "params": {"type": "object", "description": "For models whose signature has parameters."},
        },
        "required": [name],
        "additionalProperties": False,
    }


INVOCATION_COMPONENTS: Schema = {
    "headers": ANSWERED_BY,
    "schemas": {
        "PredictionRequest": {
            "description": "One of MLflow's scoring formats. What each column may hold is the model's signature.",
            "oneOf": [
                _format(
                    "dataframe_split",
                    {
                        "type": "object",
                        "properties": {
                            "columns": {"type": "array", "items": {"type": ["string", "integer"]}},
                            "data": {"type": "array", "items": {"type": "array"}},
                            "index": {"type": "array"},
                        },
                        "required": ["data"],
                        "additionalProperties": False,
                    },
                ),
                _format("dataframe_records", {"type": "array", "items": {"type": "object"}}),
                _format("instances", {"type": "array"}),
                _format("inputs", {"type": ["object", "array"]}),
            ],
        },
        "Predictions": {
            "type": "object",
            "properties": {"predictions": {"description": "What the model gave, a value a row."}},
            "required": ["predictions"],
        },
    },
}

INVOCATION_PATHS: Schema = {
    "/api/v1/ml/lifecycle/serve/{model_name}/{environment}/invocations": {
        "post": {
            "operationId": "predict",
            "summary": "Ask for predictions",
            "description": "Of whatever serves as this model in this environment. What does not fit the model's "
            "signature is refused by name. The status of an answer counts in the deployment's figures.",
            "tags": ["Predictions"],
            "security": [{"bearer": []}, {"basic": []}, {"session": []}],
            "parameters": [
                {
                    "name": "model_name",
                    "in": "path",
                    "required": True,
                    "description": "The model's name, URL-encoded.",
                    "schema": {"type": "string", "minLength": 1},
                    "example": "diabetes",
                },
                {
                    "name": "environment",
                    "in": "path",
                    "required": True,
                    "description": "Where it is deployed.",
                    "schema": {"enum": ["development", "staging", "production"]},
                    "example": "production",
                },
            ],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": reference("schemas", "PredictionRequest"),
                        "examples": {
                            "records": {"value": {"dataframe_records": [ROW]}},
                            "split": {"value": {"dataframe_split": TABLE}},
                            "instances": {"value": {"instances": [ROW]}},
                            "inputs": {"value": {"inputs": {"age": [59, 48], "bmi": [32.1, 21.6]}}},
                        },
                    },
                    "text/csv": {
                        "schema": {"type": "string", "description": "A header, then a line a row."},
                        "example": "age,bmi\n59,32.1\n48,21.6\n",
                    },
                },
            },
            "responses": {
                "200": {
                    "description": "The predictions, in the order of the rows.",
                    "headers": {
                        "X-Request-Id": reference("headers", "X-Request-Id"),
                        **{name: reference("headers", name) for name in ANSWERED_BY},
                    },
                    "content": {
                        "application/json": {
                            "schema": reference("schemas", "Predictions"),
                            "example": {"predictions": [152.1, 98.4]},
                        }
                    },
                },
                **errors(*REFUSALS),
            },
        }
    }
}

"""Evaluates flags by the Python SDK: a line of JSON in, a line of JSON out."""

import json
import sys
from datetime import datetime, timezone

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext

base_url, *token = sys.argv[1:]
headers = {"Authorization": f"Bearer {token[0]}"} if token else {}
api.set_provider(OFREPProvider(base_url, headers_factory=lambda: headers))
client = api.get_client()
methods = {
    "boolean": client.get_boolean_details,
    "string": client.get_string_details,
    "integer": client.get_integer_details,
    "float": client.get_float_details,
    "object": client.get_object_details,
}


def dated(value):
    """As a program has them; the lines are JSON, which has no dates."""
    if isinstance(value, dict) and "$date" in value:
        return datetime.fromtimestamp(value["$date"], timezone.utc)
    return value


for line in sys.stdin:
    request = json.loads(line)
    attributes = {name: dated(value) for name, value in (request.get("context") or {}).items()}
    key = attributes.pop("targetingKey", None)
    context = EvaluationContext(targeting_key=key, attributes=attributes)
    details = methods[request["type"]](request["key"], request["default"], context)
    print(
        json.dumps(
            {
                "value": details.value,
                "variant": details.variant,
                "reason": details.reason,
                "errorCode": details.error_code,
                "errorMessage": details.error_message,
                "metadata": details.flag_metadata,
            }
        ),
        flush=True,
    )

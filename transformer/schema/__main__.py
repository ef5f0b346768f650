"""`python -m transformer.schema` prints the JSON Schema of schema files, as checked in under schemas/."""

import json
import sys

from transformer.schema.model import json_schema

if __name__ == "__main__":
    sys.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")

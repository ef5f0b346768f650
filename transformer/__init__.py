"""dynamo2ch: move a DynamoDB table into ClickHouse, exactly, and prove that it arrived."""

__version__ = "0.1.0"

"""The stream's door: everything that a Kinesis ClickPipe of one schema file needs, rendered, applied and checked."""

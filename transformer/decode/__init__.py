"""Bytes of DynamoDB JSON become Arrow record batches; what cannot is rejected with a reason."""

"""Messages that no consumer can understand, thousands of them, beside orders that go on."""

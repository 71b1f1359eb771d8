"""Plain programs that go with exported models: no part of Gracile runs them, and they import nothing of it."""

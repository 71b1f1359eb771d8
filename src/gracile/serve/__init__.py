"""Predictions as a service and a page to look at them: ``gracile serve`` and ``gracile view``.

The server's own process loads no network and decodes nothing. Uploads are looked at in one kind of worker process,
predicted and drawn in another; each works under a limit of memory and time and is started anew when it ends.
"""

from gracile.serve.settings import ServeSettings

__all__ = ["ServeSettings"]

"""fast-feature with the flags of benches/ofrep.rs, as simple as it has them."""

import socket

import uvicorn
from fast_feature.core import Flag
from fast_feature.ofrep import OfrepRouter
from fast_feature.storage.inmemory import InMemoryFlagRepository
from fastapi import FastAPI

flags = [Flag(f"flag-{number:03}", {"on": True, "off": False}, "on") for number in range(100)]
app = FastAPI()
app.include_router(OfrepRouter.build(InMemoryFlagRepository(flags)))
listener = socket.create_server(("127.0.0.1", 0))
print("127.0.0.1:%d" % listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False)).run(sockets=[listener])

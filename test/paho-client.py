"""MQTT clients of Paho, driven by lines of JSON: a command each on stdin, answers and events on stdout.

{"id": 1, "do": "connect", "client": "a", ...} is answered with {"id": 1, "result": ...} or {"id": 1, "error": "..."};
what a client receives is {"event": "message", "client": "a", ...}. Written for Paho 1.6 and Python 3.9.
"""
import base64
import json
import queue
import ssl
import sys
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

TIMEOUT_SECONDS = 20

output_lock = threading.Lock()


def say(line):
    with output_lock:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def properties_of(packet_type, values):
    """`values` by Paho's names; binary data is base64, user properties are pairs."""
    properties = Properties(packet_type)
    for name, value in (values or {}).items():
        if name == "CorrelationData":
            value = base64.b64decode(value)
        if name == "UserProperty":
            value = [tuple(pair) for pair in value]
        setattr(properties, name, value)
    return properties


def plain(properties):
    """The other way round."""
    if properties is None:
        return {}
    values = {}
    for name in properties.names:
        key = name.replace(" ", "")
        if hasattr(properties, key):
            value = getattr(properties, key)
            values[key] = base64.b64encode(value).decode() if isinstance(value, bytes) else value
    return values


class Client:
    def __init__(self, name, settings):
        self.name = name
        self.version = settings["version"]
        self.answers = queue.Queue()
        self.acknowledged = {}
        self.changed = threading.Condition()
        arguments = {"client_id": settings["clientId"], "transport": settings["transport"]}
        if self.version == 5:
            arguments["protocol"] = mqtt.MQTTv5
        else:
            arguments["protocol"] = mqtt.MQTTv311
            arguments["clean_session"] = settings["clean"]
        self.client = mqtt.Client(**arguments)
        self.client.max_inflight_messages_set(100)
        self.client.on_connect = self.on_connect
        self.client.on_message = self.on_message
        self.client.on_disconnect = self.on_disconnect
        self.client.on_subscribe = self.on_subscribe
        self.client.on_publish = self.on_publish
        if settings["transport"] == "websockets":
            self.client.ws_set_options(path="/mqtt")
        if settings.get("ca"):
            self.client.tls_set(
                ca_certs=settings["ca"],
                certfile=settings.get("certificate"),
                keyfile=settings.get("key"),
                cert_reqs=ssl.CERT_REQUIRED,
            )
        if settings.get("username") is not None:
            self.client.username_pw_set(settings["username"], settings["password"])
        if settings.get("will"):
            will = settings["will"]
            self.client.will_set(will["topic"], will["payload"], will["qos"], will["retain"])
        self.settings = settings

    def connect(self):
        arguments = {}
        if self.version == 5:
            arguments["clean_start"] = self.settings["clean"]
            arguments["properties"] = properties_of(PacketTypes.CONNECT, self.settings.get("properties"))
        self.client.connect("127.0.0.1", self.settings["port"], keepalive=60, **arguments)
        self.client.loop_start()
        return self.answers.get(timeout=TIMEOUT_SECONDS)

    def on_connect(self, client, userdata, flags, code, properties=None):
        if code != 0:
            # Otherwise the loop tries again, and is refused again.
            threading.Thread(target=client.disconnect, daemon=True).start()
        number = code.value if self.version == 5 else code
        self.answers.put({"code": number, "sessionPresent": bool(flags["session present"])})

    def on_message(self, client, userdata, message):
        say({
            "event": "message",
            "client": self.name,
            "topic": message.topic,
            "payload": base64.b64encode(message.payload).decode(),
            "qos": message.qos,
            "retain": bool(message.retain),
            "properties": plain(getattr(message, "properties", None)),
        })

    def on_disconnect(self, client, userdata, code, properties=None):
        number = code.value if hasattr(code, "value") else code
        say({"event": "disconnected", "client": self.name, "code": number})

    def on_subscribe(self, client, userdata, mid, granted, properties=None):
        self.answers.put([code.value if hasattr(code, "value") else code for code in granted])

    def on_publish(self, client, userdata, mid):
        with self.changed:
            self.acknowledged[mid] = True
            self.changed.notify_all()

    def subscribe(self, topic_filter, qos, properties):
        if self.version == 5:
            given = properties_of(PacketTypes.SUBSCRIBE, properties)
            self.client.subscribe(topic_filter, options=SubscribeOptions(qos=qos), properties=given)
        else:
            self.client.subscribe(topic_filter, qos)
        return self.answers.get(timeout=TIMEOUT_SECONDS)

    def publish(self, messages):
        """Resolves once each is acknowledged, or sent at QoS 0."""
        waiting = []
        for message in messages:
            payload = base64.b64decode(message["payload"])
            arguments = {}
            if self.version == 5 and message.get("properties"):
                arguments["properties"] = properties_of(PacketTypes.PUBLISH, message["properties"])
            info = self.client.publish(message["topic"], payload, message["qos"], message["retain"], **arguments)
            waiting.append(info.mid)
        with self.changed:
            done = self.changed.wait_for(lambda: all(mid in self.acknowledged for mid in waiting), TIMEOUT_SECONDS)
        if not done:
            raise TimeoutError("not acknowledged in time")
        return None

    def disconnect(self):
        self.client.disconnect()
        self.client.loop_stop()
        return None


clients = {}


def run(command):
    name = command["client"]
    what = command["do"]
    if what == "connect":
        clients[name] = Client(name, command["settings"])
        return clients[name].connect()
    if what == "subscribe":
        return clients[name].subscribe(command["filter"], command["qos"], command.get("properties"))
    if what == "publish":
        return clients[name].publish(command["messages"])
    if what == "disconnect":
        return clients.pop(name).disconnect()
    raise ValueError("unknown command " + what)


def answer(command):
    try:
        say({"id": command["id"], "result": run(command)})
    except Exception as error:  # Whatever it is, the test is to see it.
        say({"id": command["id"], "error": type(error).__name__ + ": " + str(error)})


# Each on a thread of its own: one that waits for an answer must not keep the others.
for line in sys.stdin:
    threading.Thread(target=answer, args=(json.loads(line),), daemon=True).start()

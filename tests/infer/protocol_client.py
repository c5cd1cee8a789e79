"""A client of the Open Inference Protocol v2 that knows the protocol and no server.

Usage: protocol_client.py HOST PORT MODEL. Reads the model's metadata, builds requests from it in
every form that the protocol and its binary, classification and gzip forms allow, and checks the
answers against one another and against the protocol. Exit status 0 when all is as it says.
Python 3, standard library only.
"""
import gzip
import http.client
import json
import math
import struct
import sys
import zlib

FORMATS = {"BOOL": "?", "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q", "INT8": "b",
           "INT16": "h", "INT32": "i", "INT64": "q", "FP32": "f", "FP64": "d"}
HEADER = "Inference-Header-Content-Length"


class Client:
    """One connection that is kept alive."""

    def __init__(self, host, port):
        self.connection = http.client.HTTPConnection(host, port, timeout=60)

    def ask(self, method, path, body=None, headers=None):
        """Status, headers (names in lower case) and decoded body of the answer."""
        self.connection.request(method, path, body=body, headers=headers or {})
        response = self.connection.getresponse()
        data = response.read()
        fields = {name.lower(): value for name, value in response.getheaders()}
        encoding = fields.get("content-encoding", "identity")
        if encoding == "gzip":
            data = gzip.decompress(data)
        elif encoding == "deflate":
            data = zlib.decompress(data)
        elif encoding != "identity":
            raise AssertionError("unknown encoding " + encoding)
        return response.status, fields, data

    def get(self, path):
        status, _, data = self.ask("GET", path)
        check(status == 200, f"GET {path} gave {status}: {data[:200]}")
        return json.loads(data) if data else {}


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def product(shape):
    return math.prod(shape)


def nested(flat, shape):
    """Row-major values as nested lists."""
    if len(shape) <= 1:
        return flat
    step = len(flat) // shape[0]
    return [nested(flat[i * step:(i + 1) * step], shape[1:]) for i in range(shape[0])]


def example_input(description, batch, seed):
    """Name, datatype, shape and values for an input of the metadata."""
    shape = [batch if i == 0 and dim < 0 else 1 if dim < 0 else dim
             for i, dim in enumerate(description["shape"])]
    datatype = description["datatype"]
    values = []
    state = seed
    for _ in range(product(shape)):
        state = (1103515245 * state + 12345) % 2**31
        values.append(state // 65536 % 256 if datatype[0] in "UI" else (state // 65536 % 256) / 256)
    return {"name": description["name"], "datatype": datatype, "shape": shape, "values": values}


def packed(tensor):
    return struct.pack(f"<{len(tensor['values'])}{FORMATS[tensor['datatype']]}", *tensor["values"])


def header_of(tensor):
    return {key: tensor[key] for key in ("name", "datatype", "shape")}


def json_message(tensor, nest=False, **more):
    data = nested(tensor["values"], tensor["shape"]) if nest else tensor["values"]
    return json.dumps({"inputs": [{**header_of(tensor), "data": data}], **more}).encode()


def binary_message(tensor, **more):
    """Body and headers with the tensor as binary data."""
    blob = packed(tensor)
    text = json.dumps({"inputs": [{**header_of(tensor),
                                   "parameters": {"binary_data_size": len(blob)}}],
                       **more}).encode()
    return text + blob, {HEADER: str(len(text)), "Content-Type": "application/octet-stream"}


def read_bytes_elements(blob):
    """Elements of a BYTES tensor."""
    found = []
    while blob:
        (length,) = struct.unpack_from("<I", blob)
        check(len(blob) >= 4 + length, "BYTES element beyond the blob")
        found.append(blob[4:4 + length].decode())
        blob = blob[4 + length:]
    return found


def read_answer(fields, data):
    """The JSON part, and per output its values and whether they came as binary data."""
    length = int(fields.get(HEADER.lower(), len(data)))
    check(0 <= length <= len(data), "header length beyond the body")
    root = json.loads(data[:length])
    blob = data[length:]
    outputs = {}
    for output in root["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        count = product(output["shape"])
        if size is None:
            values = output["data"]
            check(not isinstance(values[0], list), "answers are flat")
        else:
            check("data" not in output, "data beside binary data")
            part, blob = blob[:size], blob[size:]
            check(len(part) == size, "blob is short")
            if output["datatype"] == "BYTES":
                values = read_bytes_elements(part)
            else:
                values = list(struct.unpack(f"<{count}{FORMATS[output['datatype']]}", part))
        check(len(values) == count, f"{output['name']}: {len(values)} values, shape {output['shape']}")
        outputs[output["name"]] = {**output, "values": values, "binary": size is not None}
    check(not blob, "bytes that no output owns")
    check((HEADER.lower() in fields) == any(o["binary"] for o in outputs.values()),
          "the length header comes with binary data and only then")
    return root, outputs


def close(a, b):
    return len(a) == len(b) and all(x == y or abs(x - y) <= 1e-6 * max(1, abs(x))
                                    for x, y in zip(a, b))


class Checks:
    def __init__(self, host, port, model):
        self.client = Client(host, port)
        self.model = model
        self.path = f"/v2/models/{model}"

    def infer(self, body, headers=None, path=None):
        status, fields, data = self.client.ask("POST", (path or self.path) + "/infer", body,
                                               headers or {"Content-Type": "application/json"})
        check(status == 200, f"infer gave {status}: {data[:300]}")
        root, outputs = read_answer(fields, data)
        check(root["model_name"] == self.model, "model_name is another")
        return root, outputs

    def refused(self, expected, body, headers=None, path=None, method="POST"):
        status, fields, data = self.client.ask(method, path or self.path + "/infer", body, headers)
        check(status == expected, f"expected {expected}, came {status}: {data[:300]}")
        check(fields["content-type"].startswith("application/json"), "error is no JSON")
        error = json.loads(data)["error"]
        check(isinstance(error, str) and error, "error without a text")
        return error

    def same(self, outputs):
        check(set(outputs) == set(self.expected), f"outputs {sorted(outputs)}")
        for name, output in outputs.items():
            check(close(output["values"], self.expected[name]["values"]), f"{name} differs")

    def server(self):
        server = self.client.get("/v2")
        check({"name", "version", "extensions"} <= set(server), "server metadata lack a member")
        self.extensions = server["extensions"]
        check("binary_tensor_data" in self.extensions, "no binary tensor data")
        self.client.get("/v2/health/live")
        self.client.get("/v2/health/ready")
        self.client.get(self.path + "/ready")

    def metadata(self):
        model = self.client.get(self.path)
        check(model["name"] == self.model, "metadata of another model")
        check(isinstance(model["platform"], str), "no platform")
        for version in model.get("versions", []):
            one = self.client.get(f"{self.path}/versions/{version}")
            check(one["inputs"] == model["inputs"], "versions differ")
            self.client.get(f"{self.path}/versions/{version}/ready")
        for tensor in model["inputs"] + model["outputs"]:
            check({"name", "datatype", "shape"} <= set(tensor), "a tensor lacks a member")
        self.versions = model.get("versions", [])
        self.tensor = example_input(model["inputs"][0], 2, seed=1)
        self.one = example_input(model["inputs"][0], 1, seed=2)

    def forms(self):
        """The same question in every form has the same answer."""
        root, self.expected = self.infer(json_message(self.tensor))
        check("id" not in root or root["id"] == "", "an id that was not sent")
        check(not any(o["binary"] for o in self.expected.values()), "binary was not asked for")
        for output in self.expected.values():
            check(output["shape"][0] == 2, "batch of the output")
        self.same(self.infer(json_message(self.tensor, nest=True))[1])
        self.same(self.infer(json_message(self.tensor, outputs=[]))[1])
        body, headers = binary_message(self.tensor)
        self.same(self.infer(body, headers)[1])
        body, headers = binary_message(self.tensor, id="q-1",
                                       parameters={"binary_data_output": True, "unknown": 1,
                                                   "other": "x", "third": False})
        root, outputs = self.infer(body, headers)
        self.same(outputs)
        check(root["id"] == "q-1", "id is not echoed")
        check(all(o["binary"] for o in outputs.values()), "binary was asked for")
        lower = {name.lower(): value for name, value in headers.items()}
        self.same(self.infer(body, lower)[1])
        for version in self.versions:
            versioned = f"{self.path}/versions/{version}"
            root, outputs = self.infer(body, headers, path=versioned)
            check(root["model_version"] == version, "model_version is another")

    def mixed_outputs(self):
        names = list(self.expected)
        wanted = [{"name": name, "parameters": {"binary_data": i % 2 == 0}}
                  for i, name in enumerate(names)]
        for default in (True, False):
            message = json_message(self.tensor, outputs=wanted,
                                   parameters={"binary_data_output": default})
            root, outputs = self.infer(message)
            self.same(outputs)
            check([o["name"] for o in root["outputs"]] == names, "order of the outputs")
            for i, name in enumerate(names):
                check(outputs[name]["binary"] == (i % 2 == 0), "binary_data wins")
        outputs = self.infer(json_message(self.tensor, outputs=[{"name": names[0]}]))[1]
        check(list(outputs) == names[:1], "one output was asked for")

    def encodings(self):
        body, headers = binary_message(self.tensor)
        self.same(self.infer(gzip.compress(body), {**headers, "Content-Encoding": "gzip"})[1])
        self.same(self.infer(zlib.compress(body), {**headers, "Content-Encoding": "deflate"})[1])
        self.same(self.infer(json_message(self.tensor), {"Accept-Encoding": "gzip"})[1])
        status, _, _ = self.client.ask("POST", self.path + "/infer", b"not gzip",
                                       {"Content-Encoding": "gzip"})
        check(status == 400, f"broken gzip gave {status}")

    def expectation(self):
        body, headers = binary_message(self.tensor)
        self.same(self.infer(body, {**headers, "Expect": "100-continue"})[1])

    def raw(self):
        body = packed(self.one)
        by_json = self.infer(json_message(self.one))[1]
        _, outputs = self.infer(body, {HEADER: "0", "Content-Type": "application/octet-stream"})
        check(all(o["binary"] for o in outputs.values()), "a raw question has binary answers")
        for name, output in outputs.items():
            check(close(output["values"], by_json[name]["values"]), f"raw {name} differs")

    def classification(self):
        if "classification" not in self.extensions:
            return
        scores = next(o for o in self.expected.values()
                      if o["datatype"] == "FP32" and len(o["shape"]) == 2)
        rows, classes = scores["shape"]
        for count, binary in ((1, False), (3, True), (classes + 5, False)):
            message = json_message(self.tensor, outputs=[
                {"name": scores["name"],
                 "parameters": {"classification": count, "binary_data": binary}}])
            output = self.infer(message)[1][scores["name"]]
            kept = min(count, classes)
            check(output["datatype"] == "BYTES" and output["shape"] == [rows, kept], "its shape")
            for row in range(rows):
                values = scores["values"][row * classes:(row + 1) * classes]
                order = sorted(range(classes), key=lambda i: -values[i])[:kept]
                words = output["values"][row * kept:(row + 1) * kept]
                for index, word in zip(order, words):
                    parts = word.split(":", 2)
                    check(int(parts[1]) == index, f"{word}: expected class {index}")
                    check(close([float(parts[0])], [values[index]]), f"{word}: its score")
        self.refused(400, json_message(self.tensor, outputs=[
            {"name": scores["name"], "parameters": {"classification": 0}}]))

    def errors(self):
        good = header_of(self.one)
        bad = [b"", b"{", b"[]", b"{}", json.dumps({"inputs": []}).encode()]
        for change in ({"shape": [1]}, {"datatype": "FP64"}, {"datatype": "FLOAT"},
                       {"datatype": "BYTES", "shape": [1]}, {"name": "no such input"},
                       {"data": self.one["values"][1:]}, {"data": self.one["values"] + [1]},
                       {"data": ["x"] * len(self.one["values"])}):
            tensor = {**good, "data": self.one["values"], **change}
            bad.append(json.dumps({"inputs": [tensor]}).encode())
        twice = {**good, "data": self.one["values"]}
        bad.append(json.dumps({"inputs": [twice, twice]}).encode())
        bad.append(json.dumps({"inputs": [twice], "outputs": [{"name": "no such"}]}).encode())
        name = next(iter(self.expected))
        bad.append(json.dumps({"inputs": [twice], "outputs": [{"name": name}] * 2}).encode())
        for body in bad:
            self.refused(400, body)
        for datatype, size in (("FP16", 2), ("BF16", 2), ("UINT16", 2), ("INT8", 1), ("BOOL", 1)):
            tensor = {**self.one, "datatype": datatype}
            blob = bytes(size * len(self.one["values"]))
            text = json.dumps({"inputs": [{**header_of(tensor),
                                           "parameters": {"binary_data_size": len(blob)}}]}).encode()
            error = self.refused(400, text + blob, {HEADER: str(len(text))})
            check(self.one["datatype"] in error, f"'{error}' names not the expected datatype")
        for datatype in ("FP16", "BF16"):
            body = json.dumps({"inputs": [{**good, "datatype": datatype,
                                           "data": [0] * len(self.one["values"])}]}).encode()
            check("binary" in self.refused(400, body), "half floats have no JSON form")
        body, headers = binary_message(self.one)
        for length in ("-1", "x", "", str(len(body) + 1)):
            self.refused(400, body, {HEADER: length})
        self.refused(400, body[:-1], headers)
        self.refused(400, body + b"x", headers)
        self.refused(400, b"123", {HEADER: "0"})
        self.refused(404, b"{}", path="/v2/models/no-such-model/infer")
        self.refused(404, b"{}", path=self.path + "/versions/999/infer")
        self.refused(404, None, path="/v2/models/no-such-model", method="GET")
        self.refused(404, None, path="/no/such/path", method="GET")
        self.refused(405, None, method="GET")
        self.refused(405, b"{}", path="/v2", method="POST")

    def methods(self):
        status, fields, data = self.client.ask("HEAD", "/v2/health/ready")
        check(status == 200 and not data, "HEAD has no body")
        self.client.connection.close()
        status, fields, _ = self.client.ask("OPTIONS", self.path + "/infer")
        check(status in (200, 204) and "POST" in fields["allow"], "OPTIONS names the methods")


def main():
    host, port, model = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    checks = Checks(host, port, model)
    for step in ("server", "metadata", "forms", "mixed_outputs", "encodings", "expectation", "raw",
                 "classification", "errors", "methods"):
        try:
            getattr(checks, step)()
        except Exception as error:
            print(f"{step}: {type(error).__name__}: {error}")
            return 1
        print(f"{step}: as the protocol says")
    return 0


if __name__ == "__main__":
    sys.exit(main())

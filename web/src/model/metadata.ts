// The metadata of an ONNX file, which onnxruntime-web does not tell: the entries of
// ModelProto.metadata_props (field 14), each a StringStringEntryProto of key (1) and value (2).

const METADATA_PROPS = 14;
const LENGTH_DELIMITED = 2;

interface Field {
  number: number;
  start: number; // of the content, if it is length-delimited
  end: number;
}

/** The fields of one protobuf message, unknown ones included. */
function* fields(bytes: Uint8Array, from: number, to: number): Generator<Field> {
  let at = from;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (at >= to) throw new Error("it ends in mid-field");
      const byte = bytes[at++];
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new Error("a number in it has more than ten bytes");
  };
  while (at < to) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    const start = at;
    switch (tag % 8) {
      case 0:
        varint();
        break;
      case 1:
        at += 8;
        break;
      case LENGTH_DELIMITED: {
        const length = varint();
        if (at + length > to) throw new Error("it is shorter than it says");
        yield { number, start: at, end: at + length };
        at += length;
        continue;
      }
      case 5:
        at += 4;
        break;
      default:
        throw new Error(`it has a field of type ${tag % 8}`);
    }
    yield { number, start, end: at };
  }
}

/** Key and value of every metadata entry. */
export function readMetadata(model: Uint8Array): Map<string, string> {
  const found = new Map<string, string>();
  const text = new TextDecoder();
  for (const entry of fields(model, 0, model.length)) {
    if (entry.number !== METADATA_PROPS) continue;
    const pair = ["", ""];
    for (const { number, start, end } of fields(model, entry.start, entry.end)) {
      if (number === 1 || number === 2) pair[number - 1] = text.decode(model.subarray(start, end));
    }
    found.set(pair[0], pair[1]);
  }
  return found;
}

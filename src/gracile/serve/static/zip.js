// Packs files into a ZIP without compression (APPNOTE 6.3.4), so that a DICOM series, or a case's channels, travel as one upload.

const LARGEST = 0xffffffff;

/** A blob with the files under numbers, or under given names: their own are nobody's business. */
export async function pack(files, names = null) {
  const parts = [];
  const entries = [];
  let offset = 0;
  for (const [index, file] of files.entries()) {
    const name = new TextEncoder().encode(names ? names[index] : String(index + 1).padStart(5, "0"));
    const sum = checksum(new Uint8Array(await file.arrayBuffer()));
    const common = [[2, 20], [2, 0], [2, 0], [4, 0], [4, sum], [4, file.size], [4, file.size], [2, name.length], [2, 0]];
    parts.push(bytes([[4, 0x04034b50], ...common]), name, file);
    entries.push(bytes([[4, 0x02014b50], [2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]]), name);
    offset += 30 + name.length + file.size;
    if (offset > LARGEST) throw new Error("the series is larger than 4 GB");
  }
  const directory = entries.reduce((sum, part) => sum + part.length, 0);
  const end = bytes([[4, 0x06054b50], [2, 0], [2, 0], [2, files.length], [2, files.length], [4, directory], [4, offset], [2, 0]]);
  return new Blob([...parts, ...entries, end]);
}

/** Little-endian numbers, each as its length in bytes and its value. */
function bytes(fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [length]) => sum + length, 0)));
  let at = 0;
  for (const [length, value] of fields) {
    if (length === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += length;
  }
  return new Uint8Array(view.buffer);
}

let table = null;

/** CRC-32 as ZIP has it. */
function checksum(content) {
  table ||= Uint32Array.from({ length: 256 }, (_, n) => {
    for (let bit = 0; bit < 8; bit += 1) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
    return n;
  });
  let sum = LARGEST;
  for (const byte of content) sum = table[(sum ^ byte) & 255] ^ (sum >>> 8);
  return (sum ^ LARGEST) >>> 0;
}

import Foundation

/// The inputs that are kept for one entry point: a line each, `Corpus/NAME.txt`.
///
/// A line that begins with `#` is a remark; what stands below the remark `# Found by a search.` is rewritten by
/// `Tests/fuzz --keep`. A byte that is no printable ASCII character is written `\xNN`, a line feed
/// `\n`, and the backslash `\\`.
struct Corpus {
  let entries: [[UInt8]]
  /// Those that were captured, or written by hand.
  let seeds: [[UInt8]]

  /// Reads `Corpus/NAME.txt` beside this file.
  init(of entryPoint: EntryPoint) throws {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Corpus")
    let text = try String(contentsOf: folder.appending(path: entryPoint.name + ".txt"), encoding: .utf8)
    self.init(text)
  }

  init(_ text: String) {
    let lines = text.split(separator: "\n")
    let bytes = { (line: Substring) in line.hasPrefix("#") ? nil : Self.bytes(of: line.utf8) }
    entries = lines.compactMap(bytes)
    seeds = lines.prefix { $0 != "# Found by a search." }.compactMap(bytes)
  }

  private static func bytes(of line: Substring.UTF8View) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = line[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "\\"), let kind = rest.popFirst() else {
        bytes.append(byte)
        continue
      }
      switch kind {
      case UInt8(ascii: "n"): bytes.append(UInt8(ascii: "\n"))
      case UInt8(ascii: "x"):
        bytes.append(UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) ?? 0)
        rest = rest.dropFirst(2)
      default: bytes.append(kind)
      }
    }
    return bytes
  }

  /// An entry as a line of the file.
  static func line(_ entry: [UInt8]) -> String {
    var line = ""
    for (index, byte) in entry.enumerated() {
      switch byte {
      case UInt8(ascii: "\n"): line += "\\n"
      case UInt8(ascii: "\\"): line += "\\\\"
      case UInt8(ascii: "#") where index == 0: line += "\\x23"
      case 0x20..<0x7F: line += String(UnicodeScalar(byte))
      default: line += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
      }
    }
    return line
  }
}

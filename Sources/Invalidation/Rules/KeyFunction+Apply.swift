import Crypto

extension KeyFunction {
  /// The function's result for a column's text, UTF-8 in and out. `lower` and `upper` follow Unicode's default
  /// mapping, whatever the database's collation; `url` is percent-encoding of all but RFC 3986's unreserved
  /// characters; hashes are lower-case hexadecimal; `trim` takes spaces off both ends, like SQL's.
  package func apply(_ text: [UInt8]) -> [UInt8] {
    switch self {
    case .lower: KeyFunction.mapped(text, ascii: lowered) { $0.lowercased() }
    case .upper: KeyFunction.mapped(text, ascii: raised) { $0.uppercased() }
    case .trim: KeyFunction.trimmed(text)
    case .url: KeyFunction.percentEncoded(text)
    case .md5: KeyFunction.hexadecimal(Insecure.MD5.hash(data: text))
    case .sha1: KeyFunction.hexadecimal(Insecure.SHA1.hash(data: text))
    case .sha256: KeyFunction.hexadecimal(SHA256.hash(data: text))
    }
  }

  private func lowered(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }

  private func raised(_ byte: UInt8) -> UInt8 { (0x61...0x7A).contains(byte) ? byte & ~0x20 : byte }

  private static func mapped(
    _ text: [UInt8], ascii: (UInt8) -> UInt8, unicode: (String) -> String
  ) -> [UInt8] {
    if text.allSatisfy({ $0 < 0x80 }) { return text.map(ascii) }
    return Array(unicode(String(decoding: text, as: UTF8.self)).utf8)
  }

  private static func trimmed(_ text: [UInt8]) -> [UInt8] {
    let isSpace = { (byte: UInt8) in byte == UInt8(ascii: " ") }
    guard let first = text.firstIndex(where: { !isSpace($0) }),
      let last = text.lastIndex(where: { !isSpace($0) })
    else { return [] }
    return Array(text[first...last])
  }

  private static func percentEncoded(_ text: [UInt8]) -> [UInt8] {
    let digits = Array("0123456789ABCDEF".utf8)
    var encoded: [UInt8] = []
    encoded.reserveCapacity(text.count)
    for byte in text {
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A,
        UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
        encoded.append(byte)
      default:
        encoded += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return encoded
  }

  static func hexadecimal(_ bytes: some Sequence<UInt8>) -> [UInt8] {
    let digits = Array("0123456789abcdef".utf8)
    return bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
  }
}

/// The secret of `http.token`. Nothing prints it.
package struct AccessToken: Sendable, Equatable, CustomStringConvertible, CustomReflectable {
  /// In characters.
  static let shortest = 16

  private let bytes: [UInt8]

  /// Nil for a token that is too short, or that no header can carry.
  package init?(_ text: String) {
    bytes = Array(text.utf8)
    guard !Self.isShort(text), bytes.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
  }

  static func isShort(_ text: String) -> Bool { text.unicodeScalars.count < shortest }

  /// Takes as long wherever the two differ, so that nobody finds the token byte by byte.
  func matches(_ candidate: some StringProtocol) -> Bool {
    let candidate = Array(candidate.utf8)
    var difference = candidate.count ^ bytes.count
    for (index, byte) in candidate.enumerated() { difference |= Int(byte ^ bytes[index % bytes.count]) }
    return difference == 0
  }

  /// For a client's `Authorization`.
  var header: String { "Bearer " + String(decoding: bytes, as: UTF8.self) }

  package var description: String { "..." }
  package var customMirror: Mirror { Mirror(self, children: []) }
}

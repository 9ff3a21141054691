import Daemon
import Foundation

/// What commands say: results on standard output, the rest on standard error.
enum Output {
  static func error(_ text: String) {
    // Foundation's handle ends the process where nobody takes it.
    StandardError.write(text + "\n")
  }

  /// A value as one JSON document.
  static func json(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    print(String(decoding: try encoder.encode(value), as: UTF8.self))
  }
}

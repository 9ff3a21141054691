import FoundationEssentials
import Logging

/// How one event becomes one line: nothing that was logged can start another line or pass for a field.
enum LogText {
  /// `message name=value name="two words"`.
  static func line(_ message: String, _ fields: [(name: String, value: String)]) -> String {
    fields.reduce(into: escaped(message, quote: false)) { line, field in
      line += " \(escaped(field.name, quote: false))=\(quotedIfNeeded(field.value))"
    }
  }

  static func json(
    _ level: Logger.Level, _ message: String, _ fields: [(name: String, value: String)], at time: Date
  ) -> String {
    let head = [("time", time.iso8601), ("level", level.rawValue), ("message", message)]
    let reserved = Set(head.map(\.0))
    let rest = fields.map { (reserved.contains($0.name) ? "_" + $0.name : $0.name, $0.value) }
    let pairs = (head + rest).map { "\"\(escaped($0, quote: true))\":\"\(escaped($1, quote: true))\"" }
    return "{" + pairs.joined(separator: ",") + "}"
  }

  private static func quotedIfNeeded(_ value: String) -> String {
    let isPlain =
      !value.isEmpty && value.unicodeScalars.allSatisfy { $0.value > 0x20 && $0 != "\"" && $0 != "=" }
    return isPlain ? escaped(value, quote: false) : "\"\(escaped(value, quote: true))\""
  }

  /// Control characters as JSON writes them; with `quote`, also what would end a quoted string.
  private static func escaped(_ text: String, quote: Bool) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\n": escaped += "\\n"
      case "\r": escaped += "\\r"
      case "\t": escaped += "\\t"
      case "\"" where quote: escaped += "\\\""
      case "\\" where quote: escaped += "\\\\"
      case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value):
        let digits = String(scalar.value, radix: 16)
        escaped += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}

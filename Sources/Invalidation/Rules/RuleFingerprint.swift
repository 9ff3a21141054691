import Crypto

extension Rule {
  /// Sixteen hexadecimal digits that change when the rule could give other keys than before. The name and
  /// `on_gap` are left out: they change no key.
  package var fingerprint: String {
    var text = ""
    func add(_ part: String) { text += String(part.utf8.count) + ":" + part }
    add(table.schema)
    add(table.name)
    add(String(operations.rawValue))
    add(String(whenChanged.count))
    whenChanged.forEach(add)
    add(String(conditions.count))
    for condition in conditions {
      add(condition.column)
      add(String(condition.values.count))
      for value in condition.values { add(value.map { "=" + $0 } ?? "null") }
    }
    templates.forEach { add($0.text) }
    return shortHash(text)
  }
}

/// Sixteen hexadecimal digits of the text's SHA-256.
func shortHash(_ text: String) -> String {
  String(decoding: KeyFunction.hexadecimal(SHA256.hash(data: Array(text.utf8)).prefix(8)), as: UTF8.self)
}

/// The rules' fingerprints together, as they stand in a watermark.
struct RuleSetFingerprint: Equatable, Sendable {
  /// One for each rule, in the order of the rules.
  var rules: [String]
  /// One for the set: the order of the rules does not matter.
  var whole: String

  init(_ rules: [Rule]) {
    self.rules = rules.map(\.fingerprint)
    self.whole = shortHash(self.rules.sorted().joined(separator: " "))
  }
}

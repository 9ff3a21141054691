extension Rule {
  /// Whether some row, or message, could give this key by the rule.
  package func mayGive(_ key: [UInt8]) -> Bool {
    guard !takesMessages else { return pattern.map { Glob.matches(Array($0.utf8), key) } ?? true }
    return templates.contains { Glob.matches($0.glob, key) }
  }
}

extension [Rule] {
  /// The rule and its template whose literal text looks most like the key; nil when there are none, or for a key that is
  /// too long to be mistyped.
  package func nearestTemplate(to key: [UInt8]) -> (rule: String, template: String)? {
    let templates = flatMap { rule in
      rule.templates.map { (rule: rule.name, template: $0.text, literal: $0.literal) }
    }
    let nearest = nearestName(to: String(decoding: key, as: UTF8.self), among: templates.map(\.literal))
    return templates.first { $0.literal == nearest }.map { ($0.rule, $0.template) }
  }
}

extension KeyTemplate {
  /// Its text without the columns.
  fileprivate var literal: String {
    let bytes = segments.flatMap { segment -> [UInt8] in
      if case .literal(let bytes) = segment { bytes } else { [] }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

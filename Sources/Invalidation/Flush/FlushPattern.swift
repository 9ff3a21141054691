/// One glob, of a rule, whose keys or leases a flush deletes.
package struct FlushPattern: Sendable, Equatable {
  package var rule: Int
  package var isLease: Bool
  package var bytes: [UInt8]

  /// The patterns of these rules, in the order in which they are walked: all leases come before any value, the other
  /// order is unsafe (contract 2).
  static func walk(of indices: [Int], in rules: [Rule], leases: Bool) -> [FlushPattern] {
    var patterns: [FlushPattern] = []
    for rule in indices where leases {
      for pattern in rules[rule].flushPatterns.flatMap(LeaseKey.patterns) {
        patterns.append(FlushPattern(rule: rule, isLease: true, bytes: pattern))
      }
    }
    for rule in indices {
      for pattern in rules[rule].flushPatterns {
        patterns.append(FlushPattern(rule: rule, isLease: false, bytes: pattern))
      }
    }
    return patterns
  }
}

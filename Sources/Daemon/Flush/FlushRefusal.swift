import Invalidation

/// Why `cdcd flush` does not begin.
package enum FlushRefusal: Error, Sendable, Equatable, CustomStringConvertible {
  case unknownRule(String, nearest: String?)
  /// The rule's keys are covered by no pattern.
  case noPattern(String)

  package var description: String {
    switch self {
    case .unknownRule(let name, let nearest):
      "There is no rule \(shown(name))" + (nearest.map { "; the nearest is \"\($0)\"" } ?? "") + "."
    case .noPattern(let name):
      "The rule \(name) has no pattern to flush: add pattern: to it, or name the other rules with --rule. Nothing was deleted."
    }
  }

  /// The rules of these names, all when there are none, in the order of the file.
  static func check(_ names: [String], of rules: [Rule]) throws(FlushRefusal) -> [Int] {
    let known = rules.map(\.name)
    for name in names where !known.contains(name) {
      throw .unknownRule(name, nearest: nearestName(to: name, among: known))
    }
    let indices = rules.indices.filter { names.isEmpty || names.contains(rules[$0].name) }
    for index in indices where rules[index].flushPatterns.isEmpty { throw .noPattern(rules[index].name) }
    return indices
  }
}

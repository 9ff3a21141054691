/// Where the rules of a list stand in the list that replaces it.
struct RuleMapping: Sendable, Equatable {
  /// By the place in the old list; nil for a rule that is gone, or would give other keys by now.
  let places: [Int?]

  /// A rule is the same when its fingerprint is; among equal ones the name decides.
  init(from old: [Rule], to new: [Rule]) {
    let fingerprints = new.map(\.fingerprint)
    places = old.map { rule in
      let same = new.indices.filter { fingerprints[$0] == rule.fingerprint }
      return same.first { new[$0].name == rule.name } ?? same.first
    }
  }

  func callAsFunction(_ rule: Int) -> Int? { places[rule] }

  /// What is known of each rule, at its new place.
  func move<Fact>(_ facts: [Int: Fact]) -> [Int: Fact] {
    var moved: [Int: Fact] = [:]
    for (old, new) in places.enumerated() {
      if let new, let fact = facts[old] { moved[new] = fact }
    }
    return moved
  }
}

extension KeyBuffer {
  /// Gives each key its rule's new place; forgets those of rules that are gone.
  mutating func follow(_ mapping: RuleMapping) {
    guard !isEmpty else { return }
    var kept = KeyBuffer()
    for index in 0..<count {
      guard let rule = mapping(Int(rules[index])) else { continue }
      kept.append(self, index, rule: UInt32(rule))
    }
    self = kept
  }
}

/// Everything one Redis holds, and what the oracle knows about how it came to be: both are lost together.
struct RedisData {
  enum Stored: Equatable {
    case text([UInt8])
    /// A value computed from this snapshot of the database.
    case cached(Snapshot)
    case lease(token: UInt64, granted: UInt64, expires: Int64)
  }

  private(set) var entries: [String: Stored] = [:]
  /// Keys by age, for SCAN: a position never changes, a deleted key leaves a hole.
  private(set) var order: [String?] = []
  private var positions: [String: Int] = [:]

  // The oracle's notes.
  /// When each key's lease was last deleted, in ticks.
  var leaseDeletedAt: [String: UInt64] = [:]
  /// The same, once the key's own delete followed: what was visible before that moment is invalidated.
  var deletedAt: [String: UInt64] = [:]
  /// The same moment in virtual time.
  var deletedTime: [String: Int64] = [:]
  /// When everything went at once.
  var emptiedAt: UInt64 = 0
  var emptiedTime: Int64 = 0
  /// Whole SCAN passes.
  var passes: [Pass] = []

  /// A walk over all keys that match a pattern, for a flush of these rules, which deletes theirs and leaves the others.
  struct Pass {
    var pattern: [UInt8]
    var rules: Set<String>
    /// When it began, in ticks and in virtual time.
    var begun: UInt64
    var time: Int64

    /// Whether the walk has to find the key and the flush to delete it.
    func takes(_ key: String) -> Bool {
      Glob.matches(pattern, Array(key.utf8)) && rules.contains { KeyMapping.isFlushed(key, with: $0) }
    }
  }

  subscript(key: String) -> Stored? { entries[key] }

  mutating func set(_ key: String, _ value: Stored) {
    if entries.updateValue(value, forKey: key) == nil {
      positions[key] = order.count
      order.append(key)
    }
  }

  /// The same in a place of its own, as a hash has it: the first free one from `place` on.
  mutating func set(_ key: String, _ value: Stored, from place: Int) {
    guard entries[key] == nil, let hole = order.indices.dropFirst(place).first(where: { order[$0] == nil })
    else { return set(key, value) }
    entries[key] = value
    positions[key] = hole
    order[hole] = key
  }

  /// Whether the key was there.
  @discardableResult
  mutating func remove(_ key: String) -> Bool {
    guard entries.removeValue(forKey: key) != nil else { return false }
    if let position = positions.removeValue(forKey: key) { order[position] = nil }
    return true
  }

  mutating func removeAll(at tick: UInt64, time: Int64) {
    entries = [:]
    positions = [:]
    order = Array(repeating: nil, count: order.count)
    emptiedAt = tick
    emptiedTime = time
  }

  /// The lease of `key` that is alive at `now`.
  func lease(_ key: String, now: Int64) -> (token: UInt64, granted: UInt64)? {
    guard case .lease(let token, let granted, let expires)? = entries[KeyMapping.lease(key)], expires > now
    else { return nil }
    return (token, granted)
  }

  func cached(_ key: String) -> Snapshot? {
    if case .cached(let snapshot)? = entries[key] { snapshot } else { nil }
  }
}

/// Redis's glob patterns.
///
/// Source: `stringmatchlen` in Redis's util.c.
enum Glob {
  static func matches(_ pattern: [UInt8], _ text: [UInt8]) -> Bool {
    matches(pattern[...], text[...])
  }

  private static func matches(_ pattern: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> Bool {
    var pattern = pattern
    var text = text
    while let head = pattern.first {
      switch head {
      case UInt8(ascii: "*"):
        pattern = pattern.dropFirst()
        if pattern.isEmpty { return true }
        return (text.startIndex...text.endIndex).contains { matches(pattern, text[$0...]) }
      case UInt8(ascii: "?"):
        guard !text.isEmpty else { return false }
        pattern = pattern.dropFirst()
      case UInt8(ascii: "["):
        guard let byte = text.first else { return false }
        guard classMatches(&pattern, byte) else { return false }
      case UInt8(ascii: "\\") where pattern.count >= 2:
        pattern = pattern.dropFirst()
        guard text.first == pattern.first else { return false }
        pattern = pattern.dropFirst()
      default:
        guard text.first == head else { return false }
        pattern = pattern.dropFirst()
      }
      text = text.dropFirst()
    }
    return text.isEmpty
  }

  private static func classMatches(_ pattern: inout ArraySlice<UInt8>, _ byte: UInt8) -> Bool {
    pattern = pattern.dropFirst()
    let isNegated = pattern.first == UInt8(ascii: "^")
    if isNegated { pattern = pattern.dropFirst() }
    var found = false
    while let head = pattern.first, head != UInt8(ascii: "]") {
      if head == UInt8(ascii: "\\"), pattern.count >= 2 {
        pattern = pattern.dropFirst()
        if pattern.first == byte { found = true }
        pattern = pattern.dropFirst()
      } else if pattern.count >= 3, pattern[pattern.startIndex + 1] == UInt8(ascii: "-") {
        let (low, high) = (head, pattern[pattern.startIndex + 2])
        if (min(low, high)...max(low, high)).contains(byte) { found = true }
        pattern = pattern.dropFirst(3)
      } else {
        if head == byte { found = true }
        pattern = pattern.dropFirst()
      }
    }
    pattern = pattern.dropFirst()
    return found != isNegated
  }
}

import LeaseKeys

/// What shows, without changing anything, whether Redis lets cdcd do its work.
package struct RedisTrial: Sendable {
  /// A command that cdcd needs. Behind a MULTI that is never executed Redis answers QUEUED, or refuses what it would
  /// refuse: the command or the key to this user, or every write.
  package struct Probe: Sendable, Equatable {
    /// As an ACL names it: `unlink`.
    package var command: String
    /// The glob of the keys concerned, for an ACL; nil when there are none.
    package var pattern: String?
    package var bytes: [UInt8]
  }

  private let keys: WatermarkKeys
  private let trialKey: [UInt8]
  private let delete: EngineConfiguration.DeleteCommand
  private let leases: Bool
  private let rules: [Rule]

  /// `system` is PostgreSQL's system identifier, a part of the watermark's name.
  package init(
    rules: [Rule], system: String, slot: String, command: EngineConfiguration.DeleteCommand, leases: Bool
  ) {
    keys = WatermarkKeys(system: system, slot: slot)
    // No slot's name has a colon.
    trialKey = keys.watermark + Array(":check".utf8)
    delete = command
    self.leases = leases
    self.rules = rules
  }

  /// MULTI. Only when it was answered with OK may the probes follow; EXEC never does.
  package static var beginning: [UInt8] { command([Array("MULTI".utf8)]) }

  /// One command for each kind of use, in order. The commands on keys of rules name one that fits the template.
  package var probes: [Probe] {
    let own = "cdcd:*"
    var probes = [
      probe("get", [keys.watermark], own), probe("set", [keys.rules, []], own),
      probe("eval", [Array("return 0".utf8), Array("1".utf8), keys.watermark], own),
      probe("scan", [Array("0".utf8)], nil),
    ]
    let name = delete.rawValue
    for (key, pattern) in rules.flatMap(RedisTrial.samples) {
      if leases { probes.append(probe(name, [LeaseKey.name(of: key)], own)) }
      probes.append(probe(name, [key], pattern))
    }
    return probes
  }

  /// Keys of a rule, with globs that cover them; of messages there are none but what the pattern tells.
  private static func samples(_ rule: Rule) -> [(key: [UInt8], pattern: String)] {
    if rule.takesMessages {
      guard let pattern = rule.pattern, let key = sample(of: pattern) else { return [] }
      return [(key, pattern)]
    }
    return rule.templates.map { template in
      (template.sample, template.flushPattern.map { String(decoding: $0, as: UTF8.self) } ?? "*")
    }
  }

  /// A key that matches the glob; nil where that is more than to put a digit for each wild card.
  private static func sample(of pattern: String) -> [UInt8]? {
    guard !pattern.utf8.contains(where: { "[]\\".utf8.contains($0) }) else { return nil }
    return pattern.utf8.map { "*?".utf8.contains($0) ? UInt8(ascii: "0") : $0 }
  }

  /// The watermark of a first batch and of the one behind it, on a key of its own that is gone again with the same
  /// MULTI. `history` is the `master_replid` that Redis has told.
  package func roundTrip(history: String) -> [UInt8] {
    let own = WatermarkKeys(watermark: trialKey, rules: trialKey)
    var writer = CommandWriter()
    writer.command([Array("MULTI".utf8)])
    writer.command([Array(delete.rawValue.utf8), trialKey])
    BatchEncoder.writeCompareAndSet(own, [], RedisTrial.first, to: &writer)
    BatchEncoder.writeCompareAndSet(
      own, RedisTrial.first, RedisTrial.second, onHistory: history, to: &writer)
    writer.command([Array("GET".utf8), trialKey])
    writer.command([Array(delete.rawValue.utf8), trialKey])
    writer.command([Array("EXEC".utf8)])
    return writer.bytes
  }

  /// The replies that `roundTrip` brings.
  package static let roundTripReplies = 7

  /// Whether EXEC answered that the watermark went there and back.
  package static func isIntact(_ reply: RedisReply) -> Bool {
    guard case .array(let results) = reply, results.count == 5 else { return false }
    return Array(results.dropFirst()) == [.bulk([]), .bulk(first), .bulk(second), .integer(1)]
  }

  private static let first = Array("1".utf8)
  private static let second = Array("2".utf8)

  private func probe(_ name: String, _ arguments: [[UInt8]], _ pattern: String?) -> Probe {
    Probe(command: name, pattern: pattern, bytes: RedisTrial.command([Array(name.utf8)] + arguments))
  }

  private static func command(_ words: [[UInt8]]) -> [UInt8] {
    var writer = CommandWriter()
    writer.command(words)
    return writer.bytes
  }
}

extension KeyTemplate {
  /// A key of this shape, each column a digit.
  fileprivate var sample: [UInt8] {
    segments.flatMap { segment in
      switch segment {
      case .literal(let bytes): bytes
      case .column: [UInt8(ascii: "0")]
      }
    }
  }
}

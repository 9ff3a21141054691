/// What cdcd writes to Redis with every batch: how far the deletes that Redis holds reach, and of which history
/// (contract 3). Its text is compared byte for byte by the compare-and-set, and is readable on its own:
///
///     cdcd1 system=7412 timeline=1 crash=8172 rules=9f.. replicas=- run=c0.. batch=12 applied=0/16B3748
///         settled=0/16B3748 flush=-
package struct Watermark: Sendable, Equatable {
  package var system: String
  package var timeline: UInt32
  package var crashMarker: String
  /// `RuleSetFingerprint.whole` of the rules in force and of their tables' publication.
  package var rules: String
  /// For each read replica that the second deletes were made for, which start of which server it was
  /// (`ReplicaState.entry`).
  package var replicas: [String]
  package var run: String
  package var batch: UInt64
  package var applied: LSN
  package var settled: LSN
  /// Fingerprints of the rules whose flush has not finished.
  package var openFlushes: [String]

  private static let fields = [
    "system", "timeline", "crash", "rules", "replicas", "run", "batch", "applied", "settled", "flush",
  ]

  package var text: [UInt8] {
    var text = head
    text.appendTail(batch: batch, applied: applied, settled: settled, openFlushes: openFlushes)
    return text
  }

  /// The part that does not change from batch to batch.
  var head: [UInt8] {
    Array(
      "cdcd1 system=\(system) timeline=\(timeline) crash=\(crashMarker) rules=\(rules)".utf8)
      + Array(" replicas=\(Watermark.list(replicas)) run=\(run)".utf8)
  }

  fileprivate static func list(_ entries: [String]) -> String {
    entries.isEmpty ? "-" : entries.joined(separator: ",")
  }

  private static func entries(_ list: Substring) -> [String] {
    list == "-" ? [] : list.split(separator: ",").map(String.init)
  }

  package init(
    system: String, timeline: UInt32, crashMarker: String, rules: String, replicas: [String] = [],
    run: String,
    batch: UInt64, applied: LSN, settled: LSN, openFlushes: [String]
  ) {
    self.system = system
    self.timeline = timeline
    self.crashMarker = crashMarker
    self.rules = rules
    self.replicas = replicas
    self.run = run
    self.batch = batch
    self.applied = applied
    self.settled = settled
    self.openFlushes = openFlushes
  }

  /// Reads a value that some daemon wrote; nil for anything else.
  package init?(_ text: [UInt8]) {
    let words = String(decoding: text, as: UTF8.self).split(separator: " ", omittingEmptySubsequences: false)
    guard words.count == Watermark.fields.count + 1, words[0] == "cdcd1" else { return nil }
    var values: [Substring] = []
    for (field, word) in zip(Watermark.fields, words.dropFirst()) {
      guard word.hasPrefix(field + "=") else { return nil }
      values.append(word.dropFirst(field.count + 1))
    }
    guard let timeline = UInt32(values[1]), let batch = UInt64(values[6]),
      let applied = LSN(values[7]), let settled = LSN(values[8])
    else { return nil }
    self.init(
      system: String(values[0]), timeline: timeline, crashMarker: String(values[2]),
      rules: String(values[3]), replicas: Watermark.entries(values[4]), run: String(values[5]), batch: batch,
      applied: applied, settled: settled, openFlushes: Watermark.entries(values[9]))
  }
}

extension [UInt8] {
  mutating func appendTail(batch: UInt64, applied: LSN, settled: LSN, openFlushes: [String]) {
    append(contentsOf: " batch=".utf8)
    appendDecimal(batch)
    append(contentsOf: " applied=".utf8)
    append(applied)
    append(contentsOf: " settled=".utf8)
    append(settled)
    append(contentsOf: " flush=".utf8)
    append(contentsOf: Watermark.list(openFlushes).utf8)
  }
}

/// The Redis keys that cdcd keeps for itself.
struct WatermarkKeys: Sendable, Equatable {
  /// Holds the watermark.
  var watermark: [UInt8]
  /// Holds what the watermark's `rules` stands for: `RuleSetFingerprint.text`.
  var rules: [UInt8]

  init(watermark: [UInt8], rules: [UInt8]) {
    self.watermark = watermark
    self.rules = rules
  }

  init(system: String, slot: String) {
    watermark = Array("cdcd:wm:\(system):\(slot)".utf8)
    rules = Array("cdcd:rules:\(system):\(slot)".utf8)
  }

  /// Whether a key is one of cdcd's own, which neither a flush nor a row may delete.
  static func isOwn(_ key: [UInt8]) -> Bool { isOwn(key.span) }

  @inline(__always)
  static func isOwn(_ key: Span<UInt8>) -> Bool {
    guard key.count > 0, key[0] == UInt8(ascii: "c") else { return false }
    return key.starts(with: "cdcd:wm:") || key.starts(with: "cdcd:rules:")
  }
}

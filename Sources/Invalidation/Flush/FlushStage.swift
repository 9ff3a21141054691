/// A walk over all keys of one Redis, which deletes those that some globs of rules cover: all leases, or all values.
///
/// Redis walks once, however many globs there are, and cdcd picks the keys out itself: with MATCH, each glob would be a
/// walk of its own.
package struct FlushStage: Sendable {
  package let isLease: Bool
  package let globs: [[UInt8]]
  private let globSet: GlobSet

  private init(isLease: Bool, globs: [[UInt8]]) {
    self.isLease = isLease
    self.globs = globs
    globSet = GlobSet(globs)
  }

  /// The stages of a flush of these rules, in their order: all leases come before any value, the other order is unsafe
  /// (contract 2).
  static func all(of indices: [Int], in rules: [Rule], leases: Bool) -> [FlushStage] {
    let values = indices.flatMap { rules[$0].flushPatterns }
    guard !values.isEmpty else { return [] }
    let stage = FlushStage(isLease: false, globs: values)
    return leases ? [FlushStage(isLease: true, globs: values.flatMap(LeaseKey.patterns)), stage] : [stage]
  }

  /// What SCAN is asked for: it covers all that the globs cover.
  var match: [UInt8] { globSet.union }

  /// The places of the globs that cover the key. cdcd's own keys are never covered.
  func globs(covering key: [UInt8]) -> [Int] { WatermarkKeys.isOwn(key) ? [] : globSet.places(covering: key) }
}

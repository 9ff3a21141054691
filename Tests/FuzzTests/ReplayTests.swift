import Foundation
import Testing

/// Malformed input: what is kept in the corpora, as it is, cut off, damaged and mutated. `Tests/fuzz` searches for more.
@Suite(.serialized) struct ReplayTests {
  /// Which mutations, and how many for each entry point.
  private static let seed = number("FUZZ_SEED") ?? 1
  private static let iterations = number("FUZZ_ITERATIONS").map { Int(clamping: $0) } ?? 300

  private static func number(_ name: String) -> UInt64? {
    ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
  }

  @Test("every input that was kept is survived", arguments: EntryPoint.all)
  func entries(entryPoint: EntryPoint) throws {
    var replay = try Replay(entryPoint)
    #expect(!replay.corpus.entries.isEmpty)
    try replay.entries()
  }

  @Test("so it is when it ends after any of its bytes", arguments: EntryPoint.all)
  func beginnings(entryPoint: EntryPoint) throws {
    var replay = try Replay(entryPoint)
    try replay.beginnings()
  }

  @Test("so it is when any of its bytes is another", arguments: EntryPoint.all)
  func otherBytes(entryPoint: EntryPoint) throws {
    var replay = try Replay(entryPoint)
    try replay.otherBytes(1)
  }

  @Test("and so are mutations of it", arguments: EntryPoint.all)
  func mutations(entryPoint: EntryPoint) throws {
    var replay = try Replay(entryPoint)
    try replay.mutations(Self.iterations, seed: Self.seed)
  }

  @Test("what is huge, or stands for something huge, is refused soon", arguments: EntryPoint.all)
  func hostile(entryPoint: EntryPoint) throws {
    var replay = try Replay(entryPoint)
    try replay.hostile()
    #expect(replay.count > 0)
  }
}

extension EntryPoint: CustomTestStringConvertible {
  var testDescription: String { name }
}

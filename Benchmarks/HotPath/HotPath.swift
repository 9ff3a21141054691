import Foundation
import Invalidation

/// The way of a change from the bytes of the stream to those of its delete, without sockets, for profilers and for
/// `Benchmarks/instructions`.
///
///     hot-path FILE pgoutput|wal2json backlog|live [PASSES [OTHERS [TABLES]]]
///
/// FILE is a `CapturedStream` of the table `users`, whose rule has one key; so many OTHERS have a `where` that never holds.
/// With TABLES it is one of `users_1` and so on instead, a rule each. Each pass is one of a new Engine.
@main
struct HotPath {
  static func main() throws {
    let arguments = CommandLine.arguments
    guard arguments.count >= 4, let mode = SourceMode(rawValue: arguments[2]),
      let visibility = ModelWorld.Visibility(rawValue: arguments[3])
    else { throw Failure("usage: hot-path FILE pgoutput|wal2json backlog|live [PASSES [OTHERS [TABLES]]]") }
    let stream = try CapturedStream(contentsOf: arguments[1])
    let passes = arguments.count > 4 ? Int(arguments[4]) ?? 1 : 1
    let others = arguments.count > 5 ? Int(arguments[5]) ?? 0 : 0
    let tables = arguments.count > 6 ? Int(arguments[6]) ?? 0 : 0
    let rules =
      try tables > 0
      ? (1...tables).map { try rule("users_\($0)", of: "users_\($0)") }
      : [rule("users")] + (0..<others).map(neverMatchingRule)
    let started = ContinuousClock.now
    var keys: UInt64 = 0
    for _ in 0..<passes { keys += try pass(stream, mode, rules, visibility) }
    let elapsed = (ContinuousClock.now - started) / Double(keys)
    print("\(keys) keys, \(elapsed.formatted(.units(allowed: [.nanoseconds]))) each, model servers included")
  }

  private static func rule(
    _ name: String, of table: String = "users", _ conditions: [Rule.Condition] = []
  ) throws -> Rule {
    Rule(
      name: name, table: TableName(schema: "public", name: table), conditions: conditions,
      templates: [try KeyTemplate(parsing: "\(name):{id}")])
  }

  private static func neverMatchingRule(_ number: Int) throws -> Rule {
    try rule("other-\(number)", [Rule.Condition(column: "name", values: ["nobody \(number)"])])
  }

  private static func pass(
    _ stream: CapturedStream, _ mode: SourceMode, _ rules: [Rule], _ visibility: ModelWorld.Visibility
  ) throws -> UInt64 {
    var world = try ModelWorld(mode, rules: rules, visibility: visibility)
    let last = stream.messages.count - 1
    for (index, message) in stream.messages.enumerated() {
      world.receive(message.bytes, isLast: visibility == .live && message.isCommit || index == last)
      if message.isCommit { world.committed(message.xid) }
    }
    return world.deletedKeys
  }
}

import Foundation

/// What the environment asks for: `SEED=123` one world with its trace, `SEEDS=20000` how many,
/// `FIRST=5000` where to begin, `FAULTS=kill,freeze` only these, `NOFAULTS=redisRestore` all but these.
enum Seeds {
  private static var environment: [String: String] { ProcessInfo.processInfo.environment }

  static var single: UInt64? { environment["SEED"].flatMap { UInt64($0) } }
  static var count: UInt64 { environment["SEEDS"].flatMap { UInt64($0) } ?? 2_000 }
  static var first: UInt64 { environment["FIRST"].flatMap { UInt64($0) } ?? 1 }

  /// `TRACE=1` prints the trace of the scenario tests.
  static var prints: Bool { environment["TRACE"] != nil }

  /// How many failures to report before giving up.
  static var limit: Int { environment["LIMIT"].flatMap { Int($0) } ?? 3 }

  static var allowedFaults: [Fault] {
    let only = names("FAULTS")
    let without = names("NOFAULTS") ?? []
    return Fault.allCases.filter { fault in
      !without.contains(fault.rawValue) && (only?.contains(fault.rawValue) ?? true)
    }
  }

  /// `MASK=received` switches single checks off, to look past a known bug.
  static func isMasked(_ check: String) -> Bool { masked.contains(check) }
  private static let masked = names("MASK") ?? []

  private static func names(_ variable: String) -> [String]? {
    environment[variable]?.split(separator: ",").map(String.init)
  }

  static func options(_ seed: UInt64) -> WorldOptions { WorldOptions(seed: seed, allowed: allowedFaults) }

  /// Everything needed to understand and repeat a failure: the world runs again, this time with its trace.
  static func report(_ seed: UInt64, _ options: WorldOptions, _ violation: World.Violation) -> String {
    let world = World(seed: seed, options: options, tracing: true)
    let again = world.run()
    var text = "seed \(seed): \(violation)\n"
    text += "replay: SEED=\(seed) swift test --filter SimulationTests/seededWorlds\n"
    if again?.description != violation.description {
      text += "NOT REPRODUCED: the second run gave \(again?.description ?? "nothing")\n"
    }
    text +=
      "faults: \(options.faults.map(\.rawValue).joined(separator: ",")), \(options.instances) instances,"
    text += " retain \(options.retain / Time.second) s\n"
    return text + world.traceLines.suffix(40).joined(separator: "\n")
  }
}

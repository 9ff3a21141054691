import Foundation
import Testing

/// The real Engine in thousands of seeded worlds.
@Suite(.serialized) struct SimulationTests {
  @Test func seededWorlds() async {
    if let seed = Seeds.single {
      let world = World(seed: seed, options: Seeds.options(seed), printing: true)
      let violation = world.run()
      print(world.describe())
      #expect(violation == nil, "\(violation?.description ?? "")")
      return
    }
    let cores = UInt64(ProcessInfo.processInfo.activeProcessorCount)
    let tally = await withTaskGroup { group in
      for core in 0..<cores { group.addTask { Self.runWorlds(each: cores, from: Seeds.first + core) } }
      return await group.reduce(into: Tally()) { $0.add($1) }
    }
    print("\(Seeds.count) worlds: \(tally)")
  }

  /// One after the other, every `step`th of the seeds: what they went through.
  private static func runWorlds(each step: UInt64, from first: UInt64) -> Tally {
    var failures = 0
    var tally = Tally()
    for seed in stride(from: first, to: Seeds.first + Seeds.count, by: Int(step)) {
      let options = Seeds.options(seed)
      let world = World(seed: seed, options: options)
      let violation = world.run()
      tally.add(world.tally)
      guard let violation else { continue }
      failures += 1
      Issue.record("\(Seeds.report(seed, options, violation))")
      if failures == Seeds.limit { break }
    }
    return tally
  }
}

import Testing

/// The real Engine in thousands of seeded worlds.
@Suite(.serialized) struct SimulationTests {
  @Test func seededWorlds() {
    if let seed = Seeds.single {
      let world = World(seed: seed, options: Seeds.options(seed), printing: true)
      let violation = world.run()
      print(world.describe())
      #expect(violation == nil, "\(violation?.description ?? "")")
      return
    }
    var failures = 0
    var tally = Tally()
    for seed in Seeds.first..<Seeds.first + Seeds.count {
      let options = Seeds.options(seed)
      let world = World(seed: seed, options: options)
      let violation = world.run()
      tally.add(world.tally)
      guard let violation else { continue }
      failures += 1
      Issue.record("\(Seeds.report(seed, options, violation))")
      if failures == Seeds.limit { return }
    }
    print("\(Seeds.count) worlds: \(tally)")
  }
}

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
    for seed in Seeds.first..<Seeds.first + Seeds.count {
      let options = Seeds.options(seed)
      guard let violation = World(seed: seed, options: options).run() else { continue }
      failures += 1
      Issue.record("\(Seeds.report(seed, options, violation))")
      if failures == 3 { return }
    }
  }
}
@Test func probe() {
  for seed in UInt64(1)...20 {
    let options = Seeds.options(seed)
    let world = World(seed: seed, options: options)
    let start = ContinuousClock.now
    world.run()
    print(seed, ContinuousClock.now - start, "events", world.scheduler.executed, "virtual", world.now / Time.second, "commits", world.postgres.commits.count, "fills", world.readers.map(\.fills).reduce(0, +), "deletes", world.oracle.executedDeletes, "pause", options.readPause/Time.millisecond, options.writePause/Time.millisecond)
  }
}

import Glibc
// Which of the two modules owns timespec depends on what else the target imports.
import SwiftOverlayShims

/// Goes through what is kept for an entry point, and what can be made of it without a search.
struct Replay {
  let entryPoint: EntryPoint
  let corpus: Corpus
  /// Inputs that were taken.
  private(set) var count = 0

  /// An input, as a line of a corpus, and what is wrong with it.
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  init(_ entryPoint: EntryPoint) throws {
    self.entryPoint = entryPoint
    corpus = try Corpus(of: entryPoint)
  }

  private static let longest = Duration.seconds(10)

  /// Takes one input, in no more than so much of the processor: on a busy machine a clock shows the others' time too.
  mutating func run(_ input: [UInt8]) throws {
    count += 1
    let start = Self.processorTime
    do {
      try entryPoint.run(input)
      let duration = Self.processorTime - start
      try require(duration < Self.longest, "it took \(duration)")
    } catch {
      throw Failure(description: "\(entryPoint.name): \(error), with the input\n\(Corpus.line(input))")
    }
  }

  /// Of this thread.
  private static var processorTime: Duration {
    var time = timespec()
    _ = unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
  }

  /// Every entry, and nothing at all.
  mutating func entries() throws {
    try run([])
    for entry in corpus.entries { try run(entry) }
  }

  /// Every seed cut off after each of its bytes.
  mutating func beginnings() throws {
    guard entryPoint.isShort else { return }
    for entry in corpus.seeds {
      for length in 0..<entry.count { try run(Array(entry[..<length])) }
    }
  }

  private static let others: [UInt8] = [0, 0xFF, 0x22, 0x30, 0x5B, 0x7F, 0x7D, 0x80, 0x3A]

  /// Every seed with each of its bytes, of a long one every second or third, alone, replaced by `count` others.
  mutating func otherBytes(_ count: Int) throws {
    guard entryPoint.isShort else { return }
    for entry in corpus.seeds {
      var input = entry
      for place in stride(from: 0, to: entry.count, by: 1 + entry.count / 1_000) {
        for number in 0..<count {
          let byte = Self.others[(place + number) % Self.others.count]
          input[place] = byte
          try run(input)
        }
        input[place] = entry[place]
      }
    }
  }

  mutating func mutations(_ iterations: Int, seed: UInt64) throws {
    var mutation = Mutation(corpus, words: entryPoint.words, seed: seed)
    for _ in 0..<iterations { try run(mutation.next()) }
  }

  /// What no corpus can hold.
  mutating func hostile() throws {
    for input in HostileInputs.all[entryPoint.name] ?? [] { try run(input()) }
  }
}

/// What an input of the Engine means: a sequence of steps, each a letter, two bytes that count the bytes behind them, and
/// those. Any bytes are a script: what is no step is skipped, and a count that is too large means the rest.
struct EngineScript: Sequence, IteratorProtocol {
  enum Step {
    /// `d`: a message of the plugin, in its envelope.
    case message([UInt8])
    /// `f`: whatever comes on the replication stream.
    case frame([UInt8])
    /// `a`: Redis answers so many commands as it should; with a second byte, it says that it deleted more keys than there can be.
    case acknowledge(Int, isBoasting: Bool)
    /// `r`: Redis answers this, in RESP.
    case reply([UInt8])
    /// `t`: so many milliseconds pass.
    case pass(Int64)
    /// `q`: PostgreSQL answers what it was asked.
    case answer([UInt8])
    /// `x`: something is lost, or comes back.
    case disturb([UInt8])
  }

  private var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  mutating func next() -> Step? {
    while let letter = rest.popFirst() {
      guard "dfartqx".utf8.contains(letter) else { continue }
      let body = takeBody()
      switch letter {
      case UInt8(ascii: "d"): return .message(body)
      case UInt8(ascii: "f"): return .frame(body)
      case UInt8(ascii: "a"): return .acknowledge(Int(body.first ?? 1), isBoasting: body.count > 1)
      case UInt8(ascii: "r"): return .reply(body)
      case UInt8(ascii: "t"): return .pass(body.prefix(2).reduce(0) { $0 << 8 | Int64($1) })
      case UInt8(ascii: "q"): return .answer(body)
      default: return .disturb(body)
      }
    }
    return nil
  }

  private mutating func takeBody() -> [UInt8] {
    let count = rest.prefix(2).reduce(0) { $0 << 8 | Int($1) }
    rest = rest.dropFirst(2)
    let body = Array(rest.prefix(count))
    rest = rest.dropFirst(count)
    return body
  }

  /// The bytes of one step.
  static func bytes(_ letter: Character, _ body: [UInt8] = []) -> [UInt8] {
    Array(String(letter).utf8) + [UInt8(body.count >> 8), UInt8(body.count & 255)] + body
  }
}

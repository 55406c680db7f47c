//! The table of provoked failures: what the console names first, held against what is really wrong. Each line was written from how the
//! world behaves: a server's reply and the circumstances in, the expected cause beside it.

mod circumstances;
mod circumstances_network;
mod circumstances_provider;
mod elsewhere;
pub mod healthy;
mod hostile;
mod sandbox;
mod score;
mod set_up;
mod set_ups;
mod shortened;
mod wording;

use score::Score;

/// Everything that can be judged without a server.
#[test]
fn causes_are_named_from_texts_and_circumstances() {
    let mut score = Score::default();
    wording::add_to(&mut score);
    score.part("as other programs print it");
    elsewhere::add_to(&mut score);
    score.part("cut off");
    shortened::add_to(&mut score);
    score.part("circumstances");
    circumstances::add_to(&mut score);
    circumstances_network::add_to(&mut score);
    circumstances_provider::add_to(&mut score);
    score.end(250);
}

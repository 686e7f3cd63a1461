"""From Kaggle's Digit Recognizer archive to a checked submission and the errors behind it."""

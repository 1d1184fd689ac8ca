import { households } from './scenarios.ts';

households('calm');
